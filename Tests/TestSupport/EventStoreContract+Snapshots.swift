import ComputeCore
import ComputeDomain
import EventSourcing

extension EventStoreContract {
    static let snapshots = [
        EventStoreContract(description: "a long stream is read from its snapshot, with the same state") { store in
            let id = ComputeID.random()
            _ = try await store.commit(.request(id, name: "web"))
            let placement = Placement(
                member: .random(), generation: .first, sidekick: .tcp(host: "h", port: 1),
                sidekickInternal: .unix(path: "/s"), portHost: "h")
            var events: [ComputeEvent] = [.started(placement, expiresAt: start)]
            for n in 1...119 { events.append(.extended(expiresAt: start + .seconds(n))) }
            func append(_ events: [ComputeEvent], from version: Int) async throws {
                _ = try await store.commit(
                    Commit(
                        appends: [
                            StreamAppend(
                                stream: .compute(id), group: .default, expectedVersion: version,
                                events: events.map(\.recorded))
                        ], metadata: .system, occurredAt: start))
            }
            // In several, because each has a deadline.
            for first in stride(from: 0, to: events.count, by: 20) {
                try await append(Array(events[first..<(first + 20)]), from: 1 + first)
            }
            try require(try await store.snapshot(of: .compute(id)) == nil, "none yet")
            let whole = try Compute.state(after: try await store.events(of: .compute(id)))
            let first = try await store.load(Compute.self, .compute(id))
            try require(first.state == whole && first.version == 121, "from the events")
            let snapshot = try require(try await store.snapshot(of: .compute(id)), "it left one")
            try require(snapshot.version == 121 && snapshot.events.count == 2, "a short one")
            let second = try await store.load(Compute.self, .compute(id))
            try require(second.state == whole && second.version == 121, "from the snapshot")
            try await append([.ended(.deleted)], from: 121)
            let third = try await store.load(Compute.self, .compute(id))
            try require(third.version == 122, "with what came after")
            guard case .ended(_, .deleted) = third.state else {
                throw ContractViolation(description: "not the state after it")
            }
            try await store.save(Snapshot(stream: .compute(id), version: 1, events: []))
            try require(try await store.snapshot(of: .compute(id)) == snapshot, "an older one changes nothing")
            try require(
                try await store.load(Compute.self, .compute(.random())).version == 0, "a stream that is not there")
        },
        EventStoreContract(description: "who does not know all of a stream leaves no snapshot of it") { store in
            let id = ComputeID.random()
            _ = try await store.commit(.request(id))
            _ = try await store.commit(
                Commit(
                    appends: [
                        StreamAppend(
                            stream: .compute(id), group: .default, expectedVersion: 1,
                            events: (0..<100).map { _ in NewEvent(type: "ComputeMoved", data: .object([:])) })
                    ], metadata: .system, occurredAt: start))
            try require(try await store.load(Compute.self, .compute(id)).version == 101, "it reads on")
            try require(
                try await store.snapshot(of: .compute(id)) == nil, "a newer version would miss what happened in it")
        },
    ]
}
