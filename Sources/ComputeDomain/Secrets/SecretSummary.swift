package import ComputeCore
package import EventSourcing

/// What is known of secrets and may be shown, and their sealed values.
package protocol SecretRecords: Sendable {
    func secret(_ name: SecretName, in group: GroupID) async throws(EventStoreError) -> SecretSummary?

    /// By name.
    /// - Parameter limit: at most this many, 1 to 1000.
    func secrets(in group: GroupID, after cursor: Cursor?, limit: Int) async throws(EventStoreError) -> SecretPage

    func secretValue(_ key: SecretValueRow.Key) async throws(EventStoreError) -> SecretValueRow?

    /// Those of all groups that another master key wraps, in a fixed order, after `key`.
    /// - Parameter limit: at most this many, 1 to 100.
    func secretValues(notUnder masterKey: String, after key: SecretValueRow.Key?, limit: Int)
        async throws(EventStoreError) -> [SecretValueRow]
}

/// One secret as lists show it.
package struct SecretSummary: Hashable, Sendable {
    package var group: GroupID
    package var name: SecretName
    /// The newest.
    package var version: Int64
    package var createdAt: WallTime
    package var updatedAt: WallTime

    package init(group: GroupID, name: SecretName, version: Int64, createdAt: WallTime, updatedAt: WallTime) {
        self.group = group
        self.name = name
        self.version = version
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }

    /// Which secret an event is of; nil for one of another kind.
    package static func subject(of event: RecordedEvent) throws(EventStoreError) -> SecretName? {
        guard event.stream.category == StreamID.secretCategory,
            let change = try SecretEvent(type: event.type, data: event.data)
        else { return nil }
        return switch change {
        case .written(let name, _), .deleted(let name, _): name
        }
    }

    /// The row after `event`; pure. nil: there is none.
    /// - Throws: `.corrupt` when the event cannot be read or does not follow on the row.
    package static func applying(_ event: RecordedEvent, to row: SecretSummary?) throws(EventStoreError)
        -> SecretSummary?
    {
        guard event.stream.category == StreamID.secretCategory else { return row }
        switch try SecretEvent(type: event.type, data: event.data) {
        case nil: return row
        case .deleted: return nil
        case .written(let name, let version):
            guard var next = row else {
                return SecretSummary(
                    group: event.group, name: name, version: version, createdAt: event.occurredAt,
                    updatedAt: event.occurredAt)
            }
            guard next.group == event.group, next.name == name, next.version < version else {
                throw EventStoreError(.corrupt, "an event of \(event.stream) does not follow on its summary")
            }
            (next.version, next.updatedAt) = (version, event.occurredAt)
            return next
        }
    }
}

package struct SecretPage: Sendable {
    package var secrets: [SecretSummary]
    /// Where to go on; nil when this was the last page.
    package var next: Cursor?

    /// - Parameter found: up to one more than `limit`, which tells that there is a next page.
    package init(_ found: [SecretSummary], limit: Int) {
        secrets = Array(found.prefix(limit))
        next = found.count > limit ? secrets.last.map { SecretCursor(after: $0.name).cursor } : nil
    }
}

/// A place in a list of secrets.
package struct SecretCursor: Hashable, Sendable {
    package var name: SecretName
    private static let version: UInt8 = 1

    package init(after name: SecretName) { self.name = name }

    package var cursor: Cursor {
        Cursor(kind: .secrets, version: Self.version, payload: Array(name.rawValue.utf8))
    }

    package init(_ cursor: Cursor) throws(EventStoreError) {
        let payload = try cursor.payload(kind: .secrets, version: Self.version)
        guard let name = SecretName(String(decoding: payload, as: UTF8.self)) else {
            throw EventStoreError(.badCursor, "the cursor is not one of this list")
        }
        self.name = name
    }
}
