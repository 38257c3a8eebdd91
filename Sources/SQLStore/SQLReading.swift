import ComputeCore
import EventSourcing
import FoundationEssentials
import GRDB

// Parameters are bound by name everywhere (`:name`): SQLite numbers `$n` by first appearance, not by n.
extension Database {
    func readRows<T>(
        sql: String, arguments: StatementArguments = StatementArguments(), _ read: (Row) throws -> T
    ) throws -> [T] {
        let cursor = try Row.fetchCursor(try cachedStatement(sql: sql), arguments: arguments)
        var result: [T] = []
        while let row = try cursor.next() { result.append(try read(row)) }
        return result
    }

    func run(sql: String, arguments: StatementArguments) throws {
        try cachedStatement(sql: sql).execute(arguments: arguments)
    }
}

extension Row {
    /// - Throws: `.corrupt` where GRDB's subscript would trap: what is in the file is no bug of ours.
    func required<T: DatabaseValueConvertible>(_ column: String) throws(EventStoreError) -> T {
        guard let value: T = try optional(column) else {
            throw EventStoreError(.corrupt, "the column \(column) is empty")
        }
        return value
    }

    func optional<T: DatabaseValueConvertible>(_ column: String) throws(EventStoreError) -> T? {
        guard let stored = self[column] as DatabaseValue?, !stored.isNull else { return nil }
        guard let value = T.fromDatabaseValue(stored) else {
            throw EventStoreError(.corrupt, "the column \(column) holds what it should not")
        }
        return value
    }

    func time(_ column: String) throws(EventStoreError) -> WallTime? {
        try (optional(column) as Int64?).map { WallTime(milliseconds: $0) }
    }

    func json<T: Decodable>(_ column: String, as type: T.Type = T.self) throws(EventStoreError) -> T {
        let text: String = try required(column)
        do {
            return try JSONDecoder().decode(T.self, from: Data(text.utf8))
        } catch {
            throw EventStoreError(.corrupt, "the column \(column) cannot be read", cause: error)
        }
    }

    /// A value that has a form as text, such as an id, an endpoint or a state.
    func parsed<T>(_ column: String, _ parse: (String) -> T?) throws(EventStoreError) -> T? {
        guard let text: String = try optional(column) else { return nil }
        guard let value = parse(text) else {
            throw EventStoreError(.corrupt, "the column \(column) holds what it should not")
        }
        return value
    }

    func requiredParsed<T>(_ column: String, _ parse: (String) -> T?) throws(EventStoreError) -> T {
        guard let value = try parsed(column, parse) else {
            throw EventStoreError(.corrupt, "the column \(column) is empty")
        }
        return value
    }
}

/// - Throws: `.corrupt` for what JSON cannot hold, such as a number that is none.
func jsonText(_ value: some Encodable) throws(EventStoreError) -> String {
    let encoder = JSONEncoder()
    // Sorted, so that the same document is the same text.
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    } catch {
        throw EventStoreError(.corrupt, "not a JSON document", cause: error)
    }
}

extension EventStoreError {
    /// What a failure inside the database means to the callers of the port.
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
