import ComputeCore
import EventSourcing
import FoundationEssentials

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

    func json<T: Decodable>(_ column: String, as type: T.Type = T.self) throws -> T {
        let text: String = try required(column)
        do {
            return try JSONDecoder().decode(T.self, from: Data(text.utf8))
        } catch {
            throw EventStoreError(.corrupt, "the column \(column) cannot be read", cause: error)
        }
    }

    /// Any document, by the strict reader: the general one finds the type of each value by trying, which is most of the
    /// cost of reading the log.
    func document(_ column: String) throws -> JSONValue {
        let text: String = try required(column)
        do throws(Problem) {
            return try JSONDocument.parse(Array(text.utf8))
        } catch {
            throw EventStoreError(.corrupt, "the column \(column) cannot be read", cause: error)
        }
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
