package import ComputeCore
package import EventSourcing

/// The read model of session tokens. Written in the transaction of the events.
///
/// It forgets those whose time is over, and all of a compute when that ends: the log has them.
package protocol SessionSummaries: Sendable {
    func session(_ id: SessionID) async throws(EventStoreError) -> SessionSummary?

    /// Those of a compute that are good at `time`, oldest first.
    /// - Parameter limit: at most this many, 1 to 1000.
    func sessions(of id: ComputeID, goodAt time: WallTime, limit: Int) async throws(EventStoreError)
        -> [SessionSummary]

    /// How many of a compute's were taken back and would be good at `time` otherwise.
    func revokedSessionCount(of id: ComputeID, at time: WallTime) async throws(EventStoreError) -> Int

    /// Notes when sessions were last used. No event: it is said every few seconds, and losing it loses nothing.
    /// Unknown ones, and times before the one that is known, change nothing.
    func noteUses(_ uses: [SessionID: WallTime]) async throws(EventStoreError)
}

/// One session token as lists show it.
package struct SessionSummary: Hashable, Sendable {
    package var id: SessionID
    package var group: GroupID
    package var grant: SessionGrant
    package var revokedAt: WallTime?
    /// Not from an event.
    package var lastUsedAt: WallTime?
    package var version: Int

    package init(
        id: SessionID, group: GroupID, grant: SessionGrant, revokedAt: WallTime?, lastUsedAt: WallTime?, version: Int
    ) {
        self.id = id
        self.group = group
        self.grant = grant
        self.revokedAt = revokedAt
        self.lastUsedAt = lastUsedAt
        self.version = version
    }

    package func isGood(at time: WallTime) -> Bool { revokedAt == nil && time < grant.expiresAt }
}

extension SessionSummary {
    /// The row after `event`; pure. Events of other streams change nothing, and so does one whose row was forgotten.
    /// - Throws: `.corrupt` when the event cannot be read or does not follow on the row.
    package static func applying(_ event: RecordedEvent, to row: SessionSummary?) throws(EventStoreError)
        -> SessionSummary?
    {
        guard event.stream.category == StreamID.sessionCategory else { return row }
        let change = try SessionTokenEvent(type: event.type, data: event.data)
        guard var next = row else {
            guard event.version == 1 else { return nil }
            guard let id = SessionID(event.stream.id), case .created(let grant) = change else {
                throw EventStoreError(.corrupt, "the stream \(event.stream) does not start with a token")
            }
            return SessionSummary(
                id: id, group: event.group, grant: grant, revokedAt: nil, lastUsedAt: nil, version: event.version)
        }
        guard next.group == event.group, event.version == next.version + 1 else {
            throw EventStoreError(.corrupt, "an event of \(event.stream) does not follow on its summary")
        }
        next.version = event.version
        switch change {
        case nil: break
        case .created: throw EventStoreError(.corrupt, "the stream \(event.stream) was created twice")
        case .revoked: next.revokedAt = event.occurredAt
        }
        return next
    }
}
