import EventSourcing
import GRDB

/// The port over a connection of GRDB's.
struct SQLiteConnection: SQLConnection {
    let db: Database

    func readRows<T>(sql: String, arguments: SQLArguments, _ read: (any SQLRow) throws -> T) throws -> [T] {
        let cursor = try Row.fetchCursor(try db.cachedStatement(sql: sql), arguments: Self.bound(arguments))
        var result: [T] = []
        while let row = try cursor.next() { result.append(try read(SQLiteRow(row: row))) }
        return result
    }

    func run(sql: String, arguments: SQLArguments) throws {
        try db.cachedStatement(sql: sql).execute(arguments: Self.bound(arguments))
    }

    func run(script: String) throws { try db.execute(sql: script) }

    private static func bound(_ arguments: SQLArguments) -> StatementArguments {
        StatementArguments(
            arguments.values.mapValues { value -> (any DatabaseValueConvertible)? in
                switch value {
                case .text(let text): text
                case .integer(let integer): integer
                }
            })
    }
}

private struct SQLiteRow: SQLRow {
    let row: Row

    func text(_ column: String) throws -> String? { try value(column) }
    func integer(_ column: String) throws -> Int64? { try value(column) }

    /// - Throws: `.corrupt` where GRDB's subscript would trap.
    private func value<T: DatabaseValueConvertible>(_ column: String) throws(EventStoreError) -> T? {
        guard let stored = row[column] as DatabaseValue?, !stored.isNull else { return nil }
        guard let value = T.fromDatabaseValue(stored) else {
            throw EventStoreError(.corrupt, "the column \(column) holds what it should not")
        }
        return value
    }
}

extension EventStoreError {
    /// What a failure inside SQLite means to the callers of the port.
    init(translating error: any Error) {
        switch error {
        case let error as EventStoreError: self = error
        case let error as DatabaseError:
            switch error.resultCode {
            case .SQLITE_CORRUPT, .SQLITE_NOTADB:
                self.init(.corrupt, "the database file is damaged", cause: error)
            case .SQLITE_FULL: self.init(.unavailable, "the disk is full", cause: error)
            case .SQLITE_BUSY, .SQLITE_LOCKED:
                self.init(.unavailable, "the database is locked by another program", cause: error)
            default: self.init(.unavailable, "the database cannot do its work", cause: error)
            }
        default: self.init(.unavailable, "the database cannot do its work", cause: error)
        }
    }
}
