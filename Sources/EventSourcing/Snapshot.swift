import ComputeCore

/// The state of a stream at some version, as the shortest history that leads to it. So there is one format for both, and
/// one way of reading old ones.
package struct Snapshot: Hashable, Sendable {
    package var stream: StreamID
    package var version: Int
    package var events: [NewEvent]

    package init(stream: StreamID, version: Int, events: [NewEvent]) {
        self.stream = stream
        self.version = version
        self.events = events
    }
}

/// An aggregate as it is now.
package struct Loaded<A: Aggregate>: Sendable {
    package var state: A.State
    /// 0 for a stream that is not there.
    package var version: Int

    package init(state: A.State, version: Int) {
        self.state = state
        self.version = version
    }
}

extension EventStore {
    /// So many events are read one by one before a snapshot is worth its write.
    package static var longTail: Int { 100 }

    /// Reads the snapshot, if there is one, and what came after it. After a long way it leaves a snapshot for the next one
    /// who comes; when that fails, the next one tries again.
    package func load<A: Aggregate>(
        _ aggregate: A.Type, _ stream: StreamID
    ) async throws(EventStoreError) -> Loaded<A> {
        var loaded = Loaded<A>(state: A.initial, version: 0)
        let becomesLong = A.condensed(A.initial) != nil
        if becomesLong, let snapshot = try await snapshot(of: stream) {
            for event in snapshot.events {
                guard let known = try A.Event(type: event.type, data: event.data) else { continue }
                loaded.state = A.evolve(loaded.state, known)
            }
            loaded.version = snapshot.version
        }
        let rest = try await events(of: stream, after: loaded.version)
        // A version that knows more than this one would miss in a snapshot what is passed over here.
        var knowsAll = true
        for event in rest {
            if let known = try A.Event(type: event.type, data: event.data) {
                loaded.state = A.evolve(loaded.state, known)
            } else {
                knowsAll = false
            }
            loaded.version = event.version
        }
        if becomesLong, knowsAll, rest.count >= Self.longTail, let events = A.condensed(loaded.state) {
            try? await save(Snapshot(stream: stream, version: loaded.version, events: events.map(\.recorded)))
        }
        return loaded
    }
}
