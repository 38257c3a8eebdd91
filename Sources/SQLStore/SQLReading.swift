import ComputeCore
import EventSourcing

extension SQLRow {
    /// - Throws: `.corrupt` for what should not be there: what is in a database is no bug of ours.
    func required<T: SQLStorable>(_ column: String) throws -> T {
        guard let value: T = try optional(column) else {
            throw EventStoreError(.corrupt, "the column \(column) is empty")
        }
        return value
    }

    func optional<T: SQLStorable>(_ column: String) throws -> T? { try T.read(column, of: self) }

    func time(_ column: String) throws -> WallTime? {
        try (optional(column) as Int64?).map { WallTime(milliseconds: $0) }
    }

    /// Any document, by the strict reader: the general one finds the type of each value by trying, which is most of the
    /// cost of reading the log.
    func document(_ column: String) throws -> JSONValue {
        let text: String = try required(column)
        do throws(Problem) {
            return try JSONDocument.parse(Array(text.utf8))
        } catch {
            throw unreadable(column, error)
        }
    }

    func object(_ column: String) throws -> [String: JSONValue] {
        guard case .object(let fields) = try document(column) else { throw unreadable(column) }
        return fields
    }

    /// A text that was stored as JSON, because one of SQLite's is read up to its first NUL.
    func jsonString(_ column: String) throws -> String? {
        switch try document(column) {
        case .string(let text): text
        case .null: nil
        default: throw unreadable(column)
        }
    }

    func strings(_ column: String) throws -> [String] {
        guard case .array(let values) = try document(column) else { throw unreadable(column) }
        return try values.map { value in
            guard case .string(let text) = value else { throw unreadable(column) }
            return text
        }
    }

    private func unreadable(_ column: String, _ cause: (any Error)? = nil) -> EventStoreError {
        EventStoreError(.corrupt, "the column \(column) cannot be read", cause: cause)
    }

    /// A value that has a form as text, such as an id, an endpoint or a state.
    func parsed<T>(_ column: String, _ parse: (String) -> T?) throws -> T? {
        guard let text: String = try optional(column) else { return nil }
        guard let value = parse(text) else {
            throw EventStoreError(.corrupt, "the column \(column) holds what it should not")
        }
        return value
    }

    func requiredParsed<T>(_ column: String, _ parse: (String) -> T?) throws -> T {
        guard let value = try parsed(column, parse) else {
            throw EventStoreError(.corrupt, "the column \(column) is empty")
        }
        return value
    }
}

/// A document as it is stored: its keys sorted, so that the same document is the same text.
/// - Throws: `.corrupt` for what JSON cannot hold, which is a number that is none.
func jsonText(_ value: JSONValue) throws(EventStoreError) -> String {
    guard value.isFinite else { throw EventStoreError(.corrupt, "not a JSON document") }
    return String(decoding: value.utf8(sortingKeys: true), as: UTF8.self)
}

/// What `jsonString` reads.
func jsonText(_ text: String?) throws(EventStoreError) -> String { try jsonText(text.map { .string($0) } ?? .null) }
