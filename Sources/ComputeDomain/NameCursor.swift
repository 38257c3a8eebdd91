package import EventSourcing

/// A place in a list that is in the order of names.
package struct NameCursor: Hashable, Sendable {
    package var kind: Cursor.Kind
    package var name: String
    private static let version: UInt8 = 1

    package init(_ kind: Cursor.Kind, after name: String) {
        self.kind = kind
        self.name = name
    }

    package var cursor: Cursor { Cursor(kind: kind, version: Self.version, payload: Array(name.utf8)) }

    /// - Throws: `.badCursor` for one of another list.
    package init(_ kind: Cursor.Kind, _ cursor: Cursor) throws(EventStoreError) {
        let payload = try cursor.payload(kind: kind, version: Self.version)
        // NUL ends a text in one database and is refused by the other.
        guard let name = String(validating: payload, as: UTF8.self), !payload.contains(0) else {
            throw EventStoreError(.badCursor, "the cursor is not one of this list")
        }
        self.init(kind, after: name)
    }
}
