import EventSourcing
import Glibc
import PostgresClient

/// The port over a connection of PostgreSQL's, for one piece of work with a deadline.
struct PostgresSQLConnection: SQLConnection {
    let connection: PostgresConnection
    let deadline: ContinuousClock.Instant

    func readRows<T>(sql: String, arguments: SQLArguments, _ read: (any SQLRow) throws -> T) throws -> [T] {
        let statement = NumberedSQL.of(sql)
        let result = try connection.execute(
            statement.sql, parameters(of: statement, from: arguments), until: deadline)
        return try (0..<result.rowCount).map { try read(PostgresRow(result: result, index: $0)) }
    }

    /// A statement that is a transaction by itself.
    /// - Returns: how many rows it gave.
    func runOnce(sql: String, arguments: SQLArguments) throws -> Int {
        let statement = NumberedSQL.of(sql)
        return try connection.executeOnce(
            statement.sql, parameters(of: statement, from: arguments), until: deadline
        ).rowCount
    }

    func run(sql: String, arguments: SQLArguments) throws {
        let statement = NumberedSQL.of(sql)
        try connection.run(statement.sql, parameters(of: statement, from: arguments), until: deadline)
    }

    func run(script: String) throws { try connection.run(script: script, until: deadline) }

    private func parameters(of statement: NumberedSQL, from arguments: SQLArguments) throws(EventStoreError)
        -> [PostgresParameter]
    {
        try statement.names.map { name throws(EventStoreError) -> PostgresParameter in
            switch arguments.values[name] {
            case .text(let text): return .text(text.map(PostgresText.stored))
            case .integer(let integer): return .integer(integer)
            case nil: throw EventStoreError(.corrupt, "no value for the parameter \(name)")
            }
        }
    }
}

private struct PostgresRow: SQLRow {
    let result: PostgresResult
    let index: Int

    func text(_ column: String) throws -> String? { try result.text(index, column).map(PostgresText.read) }

    func integer(_ column: String) throws -> Int64? {
        guard let text = try result.text(index, column) else { return nil }
        guard let value = Int64(text) else {
            throw EventStoreError(.corrupt, "the column \(column) holds what it should not")
        }
        return value
    }
}

/// A text of PostgreSQL holds every character but NUL. So NUL is stored as two others, and the first of these twice; what
/// is usual is stored as it is.
enum PostgresText {
    /// Of the private use area, so that hardly anything has to be doubled.
    private static let mark: Unicode.Scalar = "\u{E000}"
    /// Of its UTF-8. Few other characters begin so, and every text that is stored or read is searched for it.
    private static let markStart: UInt8 = 0xEE

    private static func holds(_ text: String, _ bytes: [UInt8]) -> Bool {
        var text = text
        return text.withUTF8 { utf8 in
            guard let start = utf8.baseAddress else { return false }
            return bytes.contains { memchr(start, Int32($0), utf8.count) != nil }
        }
    }

    static func stored(_ text: String) -> String {
        guard holds(text, [0, markStart]) else { return text }
        var stored = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\0": stored.append(contentsOf: [mark, "0"])
            case mark: stored.append(contentsOf: [mark, mark])
            default: stored.append(scalar)
            }
        }
        return String(stored)
    }

    static func read(_ stored: String) -> String {
        guard holds(stored, [markStart]) else { return stored }
        var text = String.UnicodeScalarView()
        var scalars = stored.unicodeScalars.makeIterator()
        while let scalar = scalars.next() {
            guard scalar == mark, let second = scalars.next() else {
                text.append(scalar)
                continue
            }
            text.append(second == "0" ? "\0" : second)
        }
        return String(text)
    }
}
