import ComputeCore
import ComputeDomain
import EventSourcing
import Logging

/// What keys, groups and sessions have in common: load, decide, append; on a conflict again from the start.
struct AccessDecider: Sendable, StoreReader {
    let ports: APIPorts
    let logger: Logger

    enum Outcome<A: Aggregate>: Sendable {
        case committed([A.Event])
        /// It was so already.
        case unchanged(A.State)
        case rejected(A.Rejection)
        /// A counter of the commit is at its limit.
        case full
    }

    /// - Parameter adding: what else belongs in the commit of those events.
    func decide<A: Aggregate>(
        _: A.Type, _ command: A.Command, on stream: StreamID, in group: GroupID, for caller: Caller,
        adding: ([A.Event], inout Commit) -> Void = { _, _ in }
    ) async throws(Problem) -> Outcome<A> {
        // Conflicts need somebody else who commits to this one stream; eight in a row are no accident.
        for _ in 0..<8 {
            let loaded = try await reading { () async throws(EventStoreError) in
                try await ports.store.load(A.self, stream)
            }
            let state = loaded.state
            let events: [A.Event]
            do { events = try A.decide(command, state) } catch { return .rejected(error) }
            guard !events.isEmpty else { return .unchanged(state) }
            var commit = Commit(
                appends: [
                    StreamAppend(
                        stream: stream, group: group, expectedVersion: loaded.version,
                        events: events.map(\.recorded))
                ], standing: caller.standing, metadata: caller.metadata, occurredAt: ports.clock.now())
            adding(events, &commit)
            let finished = commit
            switch try await reading({ () async throws(EventStoreError) in try await ports.store.commit(finished) }) {
            case .committed: return .committed(events)
            case .overLimit: return .full
            case .overtaken: throw .unauthenticated
            case .versionConflict, .taken: continue
            }
        }
        throw .unavailable("too many changes at once")
    }

    func records(
        _ kind: AccessRecord.Kind, in group: GroupID?, ownedBy owner: String? = nil, after cursor: String? = nil,
        limit: Int
    ) async throws(Problem) -> AccessPage {
        try await reading { () async throws(EventStoreError) in
            try await ports.access.records(
                kind, in: group, ownedBy: owner, after: cursor.map { Cursor(rawValue: $0) }, limit: limit)
        }
    }

    /// - Returns: nil for what is unknown, over, or another group's.
    func record(_ kind: AccessRecord.Kind, _ id: String, in group: GroupID) async throws(Problem) -> AccessRecord? {
        let chain = try await reading { () async throws(EventStoreError) in
            try await ports.access.chain(AccessRecord.ID(kind, id))
        }
        return chain.first?.group == group ? chain.first : nil
    }
}
