package import ComputeCore
import ComputeDomain
package import EventSourcing

/// What a run of retention did.
package struct RetentionOutcome: Hashable, Sendable {
    package var streams = 0
    package var events = 0

    package init(streams: Int = 0, events: Int = 0) {
        self.streams = streams
        self.events = events
    }
}

extension SQLEventStore {
    /// In memory; a stream is whole, and has some ten thousand at most.
    private static var mostEventsAtOnce: Int { 5000 }

    /// Moves histories that are over, and older than `time`, out of the log. Nothing that stays is touched.
    /// - Parameter archive: keeps them, durably when it returns; called with whole streams before they are removed.
    package func retain(
        since time: WallTime, now: WallTime, archive: ([RecordedEvent]) throws -> Void
    ) async throws -> RetentionOutcome {
        var outcome = RetentionOutcome()
        while true {
            let finished = try await read { try RetentionSQL(db: $0).finished(before: time, limit: 200) }
            var (kept, events): ([(StreamID, Int)], [RecordedEvent]) = ([], [])
            for (stream, version) in finished where events.count < Self.mostEventsAtOnce {
                let history = try await self.events(of: stream)
                guard history.last?.version == version else { continue }
                kept.append((stream, version))
                events += history
            }
            guard !kept.isEmpty else { break }
            try archive(events)
            let removable = kept
            let removed = try await write { db in try Self.remove(removable, since: time, now: now, in: db) }
            // Nothing could be removed: somebody appends to all of them.
            guard removed.events > 0 else { break }
            outcome.streams += removed.streams
            outcome.events += removed.events
        }
        return outcome
    }

    /// With an entry of its own in the log, which is so never shorter than what its readers have seen.
    private static func remove(
        _ streams: [(StreamID, Int)], since time: WallTime, now: WallTime, in db: any SQLConnection
    ) throws -> RetentionOutcome {
        let removed = try streams.map { try RetentionSQL(db: db).remove($0.0, version: $0.1) }.filter { $0 > 0 }
        let outcome = RetentionOutcome(streams: removed.count, events: removed.reduce(0, +))
        guard outcome.events > 0 else { return outcome }
        let stream = StreamID(category: "log", id: "retention")
        let entry = NewEvent(
            type: "LogRetained",
            data: .object([
                "since": .string(time.rfc3339), "streams": .int(Int64(outcome.streams)),
                "events": .int(Int64(outcome.events)),
            ]))
        let sql = CommitSQL(db: db)
        let appended = try sql.apply(
            Commit(
                appends: [
                    StreamAppend(
                        stream: stream, group: .default, expectedVersion: try sql.version(of: stream), events: [entry])
                ], metadata: EventMetadata(actor: "operator"), occurredAt: now))
        guard case .committed = appended else { throw EventStoreError(.unavailable, "somebody else removes as well") }
        return outcome
    }
}
