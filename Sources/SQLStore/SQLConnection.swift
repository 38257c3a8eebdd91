import ComputeCore
import EventSourcing
import FoundationEssentials

/// A connection to a database, with a statement of SQL that both databases understand, on a thread that may block.
///
/// Parameters are bound by name everywhere (`:name`): SQLite numbers `$n` by first appearance, not by n.
package protocol SQLConnection {
    func readRows<T>(sql: String, arguments: SQLArguments, _ read: (any SQLRow) throws -> T) throws -> [T]
    func run(sql: String, arguments: SQLArguments) throws
    /// Statements without parameters, separated by semicolons.
    func run(script: String) throws
}

extension SQLConnection {
    func readRows<T>(sql: String, _ read: (any SQLRow) throws -> T) throws -> [T] {
        try readRows(sql: sql, arguments: [:], read)
    }
}

/// A row of an answer, to be read before the next one.
package protocol SQLRow {
    /// - Returns: nil for NULL.
    func text(_ column: String) throws -> String?
    func integer(_ column: String) throws -> Int64?
}

/// The values of a statement's parameters.
package struct SQLArguments: ExpressibleByDictionaryLiteral, Sendable {
    private(set) var values: [String: SQLValue] = [:]

    package init(dictionaryLiteral elements: (String, any SQLStorable)...) {
        for (name, value) in elements { values[name] = value.sqlValue }
    }

    package mutating func bind(_ name: String, to value: some SQLStorable) { values[name] = value.sqlValue }

    package static func += (arguments: inout SQLArguments, more: SQLArguments) {
        arguments.values.merge(more.values) { $1 }
    }
}

/// Also NULL has a type: PostgreSQL asks for it.
package enum SQLValue: Hashable, Sendable {
    case text(String?)
    case integer(Int64?)
}

/// What a column can hold.
package protocol SQLStorable: Sendable {
    static var sqlNull: SQLValue { get }
    var sqlValue: SQLValue { get }
    static func read(_ column: String, of row: any SQLRow) throws -> Self?
}

extension String: SQLStorable {
    package static var sqlNull: SQLValue { .text(nil) }
    package var sqlValue: SQLValue { .text(self) }
    package static func read(_ column: String, of row: any SQLRow) throws -> String? { try row.text(column) }
}

extension Int64: SQLStorable {
    package static var sqlNull: SQLValue { .integer(nil) }
    package var sqlValue: SQLValue { .integer(self) }
    package static func read(_ column: String, of row: any SQLRow) throws -> Int64? { try row.integer(column) }
}

extension Int: SQLStorable {
    package static var sqlNull: SQLValue { .integer(nil) }
    package var sqlValue: SQLValue { .integer(Int64(self)) }
    package static func read(_ column: String, of row: any SQLRow) throws -> Int? {
        try row.integer(column).map { Int($0) }
    }
}

extension Optional: SQLStorable where Wrapped: SQLStorable {
    package static var sqlNull: SQLValue { Wrapped.sqlNull }
    package var sqlValue: SQLValue { self?.sqlValue ?? Wrapped.sqlNull }
    package static func read(_ column: String, of row: any SQLRow) throws -> Wrapped?? {
        .some(try Wrapped.read(column, of: row))
    }
}
