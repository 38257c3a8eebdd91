package import ComputeCore
package import ComputeDomain
package import EventSourcing
import Synchronization

/// The event store and its read model in memory: what services are tested on, and the contract suite's reference.
package final class InMemoryEventStore: EventStore, ComputeSummaries, SessionSummaries, AccessRecords {
    let state = Mutex(State())
    private let signal = AppendSignal<Int64>(latest: 0)
    private let lookups = Mutex(0)

    package init() {}

    package func commit(_ commit: Commit) async throws(EventStoreError) -> CommitOutcome {
        let outcome = try state.withLock { state throws(EventStoreError) in
            // The copy is what makes it all or nothing.
            var next = state
            let outcome = try next.apply(commit)
            if case .committed = outcome { state = next }
            return outcome
        }
        if case .committed(let events) = outcome, let last = events.last { signal.advance(to: last.position) }
        return outcome
    }

    package func events(of stream: StreamID) async throws(EventStoreError) -> [RecordedEvent] {
        state.withLock { state in state.log.filter { $0.stream == stream } }
    }

    package func events(after cursor: Cursor?, matching filter: EventFilter, limit: Int) async throws(EventStoreError)
        -> EventPage
    {
        let start = try PositionCursor(cursor).position
        return try state.withLock { state throws(EventStoreError) in
            guard start <= Int64(state.log.count) else {
                throw EventStoreError(.badCursor, "the cursor is ahead of the log")
            }
            let rest = state.log.drop { $0.position <= start }
            let matching = rest.filter(filter.accepts)
            let page = Array(matching.prefix(limit.clampedPageSize))
            let hasMore = page.count < matching.count
            let last = hasMore ? page.last?.position : rest.last?.position
            return EventPage(
                events: page, next: last.map { PositionCursor(position: $0).cursor } ?? cursor, hasMore: hasMore,
                places: { PositionCursor(position: page[$0].position).cursor })
        }
    }

    package func waitForEvents(after cursor: Cursor?, timeout: Duration) async {
        guard let start = try? PositionCursor(cursor) else { return }
        await signal.wait(past: start.position, timeout: timeout)
    }

    package func holder(of key: UniqueKey) async throws(EventStoreError) -> UniqueHold? {
        state.withLock { $0.holds[key] }
    }

    package func counter(_ name: CounterName) async throws(EventStoreError) -> Int64 {
        state.withLock { $0.counters[name]?.value ?? 0 }
    }

    package func counters(in group: GroupID) async throws(EventStoreError) -> [String: CounterState] {
        let own = state.withLock { state in state.counters.filter { $0.key.group == group } }
        return Dictionary(uniqueKeysWithValues: own.map { ($0.key.name, $0.value) })
    }

    package func privateRow(kind: String, key: String) async throws(EventStoreError) -> PrivateRow? {
        state.withLock { $0.rows[State.RowKey(kind: kind, key: key)] }
    }

    // MARK: - ComputeSummaries

    package func summary(_ id: ComputeID, in group: GroupID?) async throws(EventStoreError) -> ComputeSummary? {
        state.withLock { state in
            state.summaries[id].flatMap { row in group.map { $0 == row.group } ?? true ? row : nil }
        }
    }

    package func summaries(in group: GroupID, matching filter: SummaryFilter, after cursor: Cursor?, limit: Int)
        async throws(EventStoreError) -> SummaryPage
    {
        var place: SummaryCursor?
        if let cursor { place = try SummaryCursor(cursor) }
        let all = state.withLock { Array($0.summaries.values) }
        let rest = all.filter { row in
            row.group == group && filter.accepts(row)
                && (place.map { (row.createdAt, row.id) < ($0.createdAt, $0.id) } ?? true)
        }.sorted { ($1.createdAt, $1.id) < ($0.createdAt, $0.id) }
        let page = Array(rest.prefix(limit.clampedPageSize))
        return SummaryPage(
            summaries: page, next: page.count < rest.count ? page.last.map { SummaryCursor(after: $0).cursor } : nil)
    }

    package func named(_ name: String, namespace: String, in group: GroupID) async throws(EventStoreError)
        -> ComputeSummary?
    {
        state.withLock { state in
            state.summaries.values.first { row in
                row.group == group && row.name == name && row.namespace == namespace && row.state != .ended
            }
        }
    }

    package func living(expiringBefore time: WallTime, limit: Int) async throws(EventStoreError) -> [ComputeSummary] {
        let due = state.withLock { state in
            state.summaries.values.filter { row in
                row.state != .ended && (row.expiresAt.map { $0 < time } ?? false)
            }
        }
        return Array(due.sorted { ($0.expiresAt!, $0.id) < ($1.expiresAt!, $1.id) }.prefix(limit))
    }

    package func unended(after id: ComputeID?, limit: Int) async throws(EventStoreError) -> [ComputeSummary] {
        let alive = state.withLock { state in
            state.summaries.values.filter { row in row.state != .ended && (id.map { $0 < row.id } ?? true) }
        }
        return Array(alive.sorted { $0.id < $1.id }.prefix(limit))
    }

    // MARK: - SessionSummaries

    package func session(_ id: SessionID) async throws(EventStoreError) -> SessionSummary? {
        state.withLock { $0.sessions[id] }
    }

    package func sessions(of id: ComputeID, goodAt time: WallTime, limit: Int) async throws(EventStoreError)
        -> [SessionSummary]
    {
        let all = state.withLock { Array($0.sessions.values) }
        let found = all.filter { $0.grant.computeID == id && $0.isGood(at: time) }
        let sorted = found.sorted { ($0.grant.createdAt, $0.id.rawValue) < ($1.grant.createdAt, $1.id.rawValue) }
        return Array(sorted.prefix(limit.clampedPageSize))
    }

    package func revokedSessionCount(of id: ComputeID, at time: WallTime) async throws(EventStoreError) -> Int {
        state.withLock { state in
            state.sessions.values.count {
                $0.grant.computeID == id && $0.revokedAt != nil && time < $0.grant.expiresAt
            }
        }
    }

    // MARK: - AccessRecords

    package func chain(_ id: AccessRecord.ID) async throws(EventStoreError) -> [AccessRecord] {
        state.withLock { $0.chain(id) }
    }

    /// How often a key was looked for.
    package var keyLookups: Int { lookups.withLock { $0 } }

    package func chain(keyHash: String) async throws(EventStoreError) -> KeyFinding? {
        lookups.withLock { $0 += 1 }
        return state.withLock { state in
            guard let row = state.rows[State.RowKey(kind: PrivateRow.apiKeyKind, key: keyHash)],
                let id = row.activeAPIKeyID
            else { return nil }
            return KeyFinding(secret: row.apiKeySecret, chain: state.chain(AccessRecord.ID(.key, id)))
        }
    }

    package func records(
        _ kind: AccessRecord.Kind, in group: GroupID?, ownedBy owner: String?, after cursor: Cursor?, limit: Int
    ) async throws(EventStoreError) -> AccessPage {
        var place: AccessCursor?
        if let cursor { place = try AccessCursor(cursor) }
        let all = state.withLock { Array($0.records.values) }
        let rest = all.filter { record in
            record.id.kind == kind && (group.map { $0 == record.group } ?? true)
                && (owner.map { $0 == record.owner } ?? true)
                && (place.map { ($0.createdAt, $0.id) < (record.createdAt, record.id.id) } ?? true)
        }.sorted { ($0.createdAt, $0.id.id) < ($1.createdAt, $1.id.id) }
        let page = Array(rest.prefix(limit.clampedPageSize))
        return AccessPage(
            records: page, next: page.count < rest.count ? page.last.map { AccessCursor(after: $0).cursor } : nil)
    }

    package func noteAccess(_ uses: [AccessRecord.ID: WallTime]) async throws(EventStoreError) {
        state.withLock { state in
            for (id, time) in uses where state.records[id].map({ $0.lastUsedAt ?? time <= time }) == true {
                state.records[id]?.lastUsedAt = time
            }
        }
    }

    // MARK: - Uses of sessions

    package func noteUses(_ uses: [SessionID: WallTime]) async throws(EventStoreError) {
        state.withLock { state in
            for (id, time) in uses where state.sessions[id].map({ $0.lastUsedAt ?? time <= time }) == true {
                state.sessions[id]?.lastUsedAt = time
            }
        }
    }

    package func snapshot(of stream: StreamID) async throws(EventStoreError) -> Snapshot? {
        state.withLock { $0.snapshots[stream] }
    }

    package func save(_ snapshot: Snapshot) async throws(EventStoreError) {
        state.withLock { state in
            guard (state.snapshots[snapshot.stream]?.version ?? 0) < snapshot.version else { return }
            state.snapshots[snapshot.stream] = snapshot
        }
    }
}

extension Int {
    /// What the port promises of `limit`.
    var clampedPageSize: Int { Swift.min(Swift.max(self, 1), 1000) }
}
