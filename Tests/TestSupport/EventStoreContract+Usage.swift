import ComputeCore
import ComputeDomain
import EventSourcing

/// 2027-01-15 08:00 is `start`: 16 hours before a midnight.
private let day = UsageDay(start)

extension EventStoreContract {
    static let usage = [
        EventStoreContract(description: "what a compute takes is counted while it goes on and when it is over") {
            store in
            let life = Life(store)
            try await life.request(at: 0)
            try require(try await store.took(at: 100).isEmpty, "nothing before it started")
            try await life.start(at: 10)
            let running = try await store.took(at: 40)
            try require(running == [day: .seconds(30, cpu: 1500, memory: 512)], "\(running)")
            try await life.end(at: 50)
            for now in [50, 1000, 100_000] {
                let took = try await store.took(at: now)
                try require(took == [day: .seconds(40, cpu: 1500, memory: 512)], "\(took)")
            }
            try require(try await store.took(at: 100, in: other).isEmpty, "groups are apart")
        },
        EventStoreContract(description: "one that is paused has its memory and no processor") { store in
            let life = Life(store)
            try await life.request(at: 0)
            try await life.start(at: 0)
            try await life.pause(at: 10)
            var expected = UsageAmount.seconds(10, cpu: 1500, memory: 512)
            expected += .seconds(5, cpu: 0, memory: 512)
            try require(try await store.took(at: 15) == [day: expected], "still paused")
            try await life.resume(at: 20)
            try await life.end(at: 21)
            expected = .seconds(11, cpu: 1500, memory: 512)
            expected += .seconds(10, cpu: 0, memory: 512)
            try require(try await store.took(at: 900) == [day: expected], "over")
        },
        EventStoreContract(description: "one that is stopped takes nothing") { store in
            let life = Life(store)
            try await life.request(at: 0)
            try await life.start(at: 0)
            try await life.stop(at: 10)
            try require(try await store.took(at: 900) == [day: .seconds(10, cpu: 1500, memory: 512)], "stopped")
            try await life.startAgain(at: 900)
            try require(try await store.took(at: 905) == [day: .seconds(15, cpu: 1500, memory: 512)], "again")
            try await life.end(at: 910)
            try require(try await store.took(at: 999) == [day: .seconds(20, cpu: 1500, memory: 512)], "over")
        },
        EventStoreContract(description: "days are cut at the midnights of UTC, and only those asked for are told") {
            store in
            let life = Life(store)
            try await life.request(at: 0)
            try await life.start(at: 16 * 3600 - 60)
            try await life.end(at: (16 + 24) * 3600 + 30)
            let all = try await store.took(at: 1_000_000, through: day.advanced(by: 10))
            try require(
                all == [
                    day: .seconds(60, cpu: 1500, memory: 512),
                    day.advanced(by: 1): .seconds(86_400, cpu: 1500, memory: 512),
                    day.advanced(by: 2): .seconds(30, cpu: 1500, memory: 512),
                ], "\(all)")
            let one = try await store.took(
                at: 1_000_000, from: day.advanced(by: 1), through: day.advanced(by: 1))
            try require(Array(one.keys) == [day.advanced(by: 1)], "\(one)")
        },
        EventStoreContract(description: "racing lives add up to the millisecond") { store in
            _ = try await race(20) { n in
                let life = Life(store)
                try await life.request(at: 0)
                try await life.start(at: n)
                if n % 2 == 0 { try await life.end(at: 100) }
            }
            // 0 + 1 + … + 19 seconds are missing from twenty hundreds.
            let took = try await store.took(at: 100)
            try require(took == [day: .seconds(2000 - 190, cpu: 1500, memory: 512)], "\(took)")
        },
    ]
}

extension UsageAmount {
    fileprivate static func seconds(_ seconds: Int64, cpu: Int64, memory: Int64) -> UsageAmount {
        UsageAmount(compute: seconds * 1000, cpu: seconds * 1000 * cpu, memory: seconds * 1000 * memory)
    }
}

extension UsageRecords {
    /// - Parameter seconds: after `start`.
    fileprivate func took(
        at seconds: Int, from first: UsageDay = day, through last: UsageDay = day, in group: GroupID = .default
    ) async throws -> UsageByDay {
        try await usage(of: group, from: first, through: last, at: start + .seconds(seconds))
    }
}

/// One compute of a processor and a half and 512 MiB; times in seconds after `start`.
private struct Life {
    let store: any EventStoreContract.Store
    let id = ComputeID.random()
    let place = Placement(
        member: .random(), generation: .first, sidekick: .tcp(host: "10.0.0.1", port: 1),
        sidekickInternal: .unix(path: "/s"), portHost: "10.0.0.1")

    init(_ store: any EventStoreContract.Store) { self.store = store }

    func request(at seconds: Int) async throws {
        var spec = ComputeSpec(timeout: .seconds(3600))
        spec.granted = ComputeResources(cpus: 1.5, memoryBytes: 512 << 20)
        try await decide(.request(spec, at: Self.time(seconds)), at: seconds)
    }

    func start(at seconds: Int) async throws { try await decide(.start(place, at: Self.time(seconds)), at: seconds) }
    func pause(at seconds: Int) async throws { try await decide(.pause, at: seconds) }
    func resume(at seconds: Int) async throws { try await decide(.resume(at: Self.time(seconds)), at: seconds) }
    func stop(at seconds: Int) async throws {
        try await decide(.stop(KeepLimits(usual: .seconds(1), most: .seconds(1)), at: Self.time(seconds)), at: seconds)
    }
    func startAgain(at seconds: Int) async throws {
        var place = place
        place.generation = Generation(2)
        try await decide(.start(place, at: Self.time(seconds)), at: seconds)
    }
    func end(at seconds: Int) async throws { try await decide(.end(.deleted), at: seconds) }

    private static func time(_ seconds: Int) -> WallTime { TestSupport.start + .seconds(seconds) }

    private func decide(_ command: Compute.Command, at seconds: Int) async throws {
        let loaded = try await store.load(Compute.self, .compute(id))
        let commit = Commit.compute(
            id, in: .default, expectedVersion: loaded.version, before: loaded.state,
            events: try Compute.decide(command, loaded.state), metadata: .system, at: Self.time(seconds))
        try require(try await store.commit(commit).isCommitted, "\(command)")
    }
}
