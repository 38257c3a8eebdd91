package import ComputeCore
package import EventSourcing

/// What is known of pools.
package protocol PoolRecords: Sendable {
    /// Another group's is nil, as if absent.
    func pool(_ id: PoolID, in group: GroupID) async throws(EventStoreError) -> PoolSummary?

    func pool(named name: String, in group: GroupID) async throws(EventStoreError) -> PoolSummary?

    /// By name.
    /// - Parameter limit: at most this many, 1 to 1000.
    func pools(in group: GroupID, after cursor: Cursor?, limit: Int) async throws(EventStoreError) -> PoolPage

    /// Those of all groups, by id, with what their members are made from.
    /// - Parameter limit: at most this many, 1 to 1000.
    func supplies(after id: PoolID?, limit: Int) async throws(EventStoreError) -> [PoolSupply]
}

/// One pool as lists show it.
package struct PoolSummary: Hashable, Sendable {
    package var id: PoolID
    package var group: GroupID
    package var spec: PoolSpec
    package var revision: Int64
    package var createdAt: WallTime
    package var updatedAt: WallTime
    /// The version of the stream that this row shows.
    package var version: Int

    package init(
        id: PoolID, group: GroupID, spec: PoolSpec, revision: Int64, createdAt: WallTime, updatedAt: WallTime,
        version: Int
    ) {
        self.id = id
        self.group = group
        self.spec = spec
        self.revision = revision
        self.createdAt = createdAt
        self.updatedAt = updatedAt
        self.version = version
    }

    /// The row after `event`; pure. nil: there is none.
    /// - Throws: `.corrupt` when the event cannot be read or does not follow on the row.
    package static func applying(_ event: RecordedEvent, to row: PoolSummary?) throws(EventStoreError)
        -> PoolSummary?
    {
        guard event.stream.category == StreamID.poolCategory else { return row }
        let change = try PoolEvent(type: event.type, data: event.data)
        guard var next = row else {
            guard let id = PoolID(event.stream.id), case .created(let spec) = change else {
                throw EventStoreError(.corrupt, "the stream \(event.stream) does not start with a creation")
            }
            return PoolSummary(
                id: id, group: event.group, spec: spec, revision: 1, createdAt: event.occurredAt,
                updatedAt: event.occurredAt, version: event.version)
        }
        guard next.group == event.group, event.version == next.version + 1 else {
            throw EventStoreError(.corrupt, "an event of \(event.stream) does not follow on its summary")
        }
        next.version = event.version
        switch change {
        case nil: break
        case .created: throw EventStoreError(.corrupt, "the stream \(event.stream) was created twice")
        case .changed(let spec, let revision):
            guard revision == next.revision + 1 else {
                throw EventStoreError(.corrupt, "a revision of \(event.stream) does not follow on the one before")
            }
            next.spec = spec
            next.revision = revision
            next.updatedAt = event.occurredAt
        case .deleted: return nil
        }
        return next
    }
}

/// A pool, and what its members are made from.
package struct PoolSupply: Hashable, Sendable {
    package var pool: PoolSummary
    /// Of its template's revision. nil: the group has no such template, or no such revision of it, any more.
    package var defaults: [String: JSONValue]?

    package init(pool: PoolSummary, defaults: [String: JSONValue]?) {
        self.pool = pool
        self.defaults = defaults
    }
}

package struct PoolPage: Sendable {
    package var pools: [PoolSummary]
    /// Where to go on; nil when this was the last page.
    package var next: Cursor?

    /// - Parameter found: up to one more than `limit`, which tells that there is a next page.
    package init(_ found: [PoolSummary], limit: Int) {
        pools = Array(found.prefix(limit))
        next = found.count > limit ? pools.last.map { NameCursor(.pools, after: $0.spec.name).cursor } : nil
    }
}
