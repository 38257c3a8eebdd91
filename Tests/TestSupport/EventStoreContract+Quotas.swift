import ComputeCore
import ComputeDomain
import EventSourcing

extension EventStoreContract {
    static let quotas = [
        EventStoreContract(description: "a counter's own limit stands for what a quota's move brings, and for no other")
        {
            store in
            let counter = CounterName(group: .default, name: "n")
            func move(_ delta: Int64, usual: Int64?) async throws -> CommitOutcome {
                try await store.commit(.moving(.quota(counter, delta: delta, usual: usual)))
            }
            try require(try await move(2, usual: 2).isCommitted, "what is usual")
            try require(try await move(1, usual: 2) == .overLimit(counter, limit: 2), "not above it")
            try require(try await store.commit(.limiting(counter, 3)).isCommitted, "set")
            try require(try await move(1, usual: 2).isCommitted, "its own")
            try require(try await move(1, usual: 100) == .overLimit(counter, limit: 3), "not above its own")
            try require(try await move(1, usual: nil) == .overLimit(counter, limit: 3), "also where none is usual")
            let plain = CounterMove(counter: counter, delta: 7, limit: 10)
            try require(try await store.commit(.moving(plain)).isCommitted, "another move knows nothing of it")
            try require(try await store.commit(.limiting(counter, 1)).isCommitted, "below what is there")
            try require(try await move(-5, usual: nil).isCommitted, "down, though still above")
            try require(try await move(1, usual: nil) == .overLimit(counter, limit: 1), "up not")
            var states = try await store.counters(in: .default)
            try require(states == ["n": CounterState(value: 5, ownLimit: 1)], "\(states)")
            try require(try await store.commit(.limiting(counter, nil)).isCommitted, "taken away")
            try require(try await move(1, usual: 6).isCommitted, "what is usual again")
            states = try await store.counters(in: .default)
            try require(states == ["n": CounterState(value: 6)], "\(states)")
            try require(try await store.counters(in: other).isEmpty, "groups are apart")
        },
        EventStoreContract(description: "a limit holds from the commit that sets it, and not when that fails") {
            store in
            let counter = CounterName(group: .default, name: "n")
            var failing = Commit.limiting(counter, 0)
            failing.counterMoves = [CounterMove(counter: counter, delta: 2, limit: 1)]
            try require(try await store.commit(failing) == .overLimit(counter, limit: 1), "failed")
            try require(try await store.counters(in: .default)["n"]?.ownLimit == nil, "so nothing was set")
            var both = Commit.limiting(counter, 0)
            both.counterMoves = [.quota(counter, delta: 1, usual: 5)]
            try require(try await store.commit(both) == .overLimit(counter, limit: 0), "in the same commit")
        },
        EventStoreContract(description: "what happens too often is refused, and fits again with time") { store in
            let counter = CounterName(group: .default, name: "creates")
            func happen(at time: WallTime, usual: Int64 = 6) async throws -> CommitOutcome {
                try await store.commit(
                    .moving(.quota(counter, delta: 1, usual: usual, per: .seconds(60)), at: time))
            }
            for _ in 0..<6 { try require(try await happen(at: start).isCommitted, "all at once") }
            try require(try await happen(at: start) == .overLimit(counter, limit: 6), "no more")
            try require(try await happen(at: start + .milliseconds(9999)) == .overLimit(counter, limit: 6), "not yet")
            try require(try await happen(at: start + .seconds(10)).isCommitted, "a sixth of the minute later")
            try require(try await happen(at: start + .seconds(10)) == .overLimit(counter, limit: 6), "and no second")
            _ = try await store.commit(.limiting(counter, 0))
            try require(try await happen(at: start + .seconds(600)) == .overLimit(counter, limit: 0), "none at all")
        },
        EventStoreContract(description: "a compute takes of every quota and gives back what it took") { store in
            let size = ComputeResources(cpus: 1.5, memoryBytes: 512 << 20, diskBytes: 1024 << 20)
            let quotas = GroupQuotas([
                .computes: 3, .cpus: 3000, .memoryMiB: 2048, .storageMiB: 4096, .createsPerMinute: 10,
            ])
            let (one, two) = (ComputeID.random(), ComputeID.random())
            try require(try await store.commit(.request(one, of: size, quotas)).isCommitted, "one")
            try require(try await store.commit(.request(two, of: size, quotas)).isCommitted, "two")
            let third = try await store.commit(.request(.random(), of: size, quotas))
            try require(third == .overLimit(Quota.cpus.counter(in: .default), limit: 3000), "\(third)")
            func values() async throws -> [Int64] {
                let counters = try await store.counters(in: .default)
                return [Quota.computes, .cpus, .memoryMiB, .storageMiB].map {
                    counters[$0.counter(in: .default).name]?.value ?? 0
                }
            }
            try require(try await values() == [2, 3000, 1024, 2048], "no share of the one refused is left")
            let state = try Compute.state(after: try await store.events(of: .compute(one)))
            try require(state.spec?.granted == size, "what it was granted is on record")
            let end = Commit.compute(
                one, in: .default, expectedVersion: 1, before: state, events: [.ended(.deleted)], metadata: .system,
                at: start)
            try require(try await store.commit(end).isCommitted, "ended")
            try require(try await values() == [1, 1500, 512, 1024], "given back")
            try require(try await store.commit(.request(.random(), of: size, quotas)).isCommitted, "room again")
        },
        EventStoreContract(description: "a stopped compute has its storage, and takes the rest again under the limits")
        {
            store in
            let size = ComputeResources(cpus: 1.5, memoryBytes: 512 << 20, diskBytes: 1024 << 20)
            let quotas = GroupQuotas([
                .computes: 1, .cpus: 3000, .memoryMiB: 2048, .storageMiB: 4096, .createsPerMinute: 10,
            ])
            let (one, two) = (ComputeID.random(), ComputeID.random())
            func values() async throws -> [Int64] {
                let counters = try await store.counters(in: .default)
                return [Quota.computes, .cpus, .memoryMiB, .storageMiB].map {
                    counters[$0.counter(in: .default).name]?.value ?? 0
                }
            }
            func decide(_ command: Compute.Command, on id: ComputeID) async throws -> CommitOutcome {
                let loaded = try await store.load(Compute.self, .compute(id))
                return try await store.commit(
                    .compute(
                        id, in: .default, expectedVersion: loaded.version, before: loaded.state,
                        events: try Compute.decide(command, loaded.state), quotas: quotas, metadata: .system, at: start)
                )
            }
            func place(_ generation: Int) -> Placement {
                Placement(
                    member: .random(), generation: Generation(generation), sidekick: .unix(path: "/s"),
                    sidekickInternal: .unix(path: "/i"), portHost: "::1")
            }
            let limits = KeepLimits(usual: .seconds(100), most: .seconds(100))
            try require(try await store.commit(.request(one, of: size, quotas)).isCommitted, "one")
            try require(try await decide(.start(place(1), at: start), on: one).isCommitted, "started")
            try require(try await decide(.stop(limits, at: start), on: one).isCommitted, "stopped")
            try require(try await values() == [0, 0, 0, 1024], "its storage alone")
            try require(try await store.commit(.request(two, of: size, quotas)).isCommitted, "room for another")
            let refused = try await decide(.start(place(2), at: start), on: one)
            try require(refused == .overLimit(Quota.computes.counter(in: .default), limit: 1), "\(refused)")
            try require(try await decide(.end(.deleted), on: two).isCommitted, "the other one ends")
            try require(try await decide(.start(place(2), at: start), on: one).isCommitted, "so there is room")
            try require(try await values() == [1, 1500, 512, 1024], "all of it")
            try require(try await decide(.stop(limits, at: start), on: one).isCommitted, "stopped again")
            try require(try await decide(.end(.expired), on: one).isCommitted, "and over")
            try require(try await values() == [0, 0, 0, 0], "nothing is left")
        },
        EventStoreContract(description: "a filesystem takes of the storage what computes leave") { store in
            let quotas = GroupQuotas([.storageMiB: 200])
            let size = ComputeResources(diskBytes: 100 << 20)
            try require(try await store.commit(.request(.random(), of: size, quotas)).isCommitted, "a compute")
            func create(_ id: FilesystemID, _ sizeMiB: Int64) async throws -> CommitOutcome {
                try await store.commit(
                    .filesystem(
                        id, in: .default, expectedVersion: 0, before: .absent,
                        events: [.created(FilesystemSpec(name: id.rawValue, sizeMiB: sizeMiB))], quotas: quotas,
                        metadata: .system, at: start))
            }
            let counter = Quota.storageMiB.counter(in: .default)
            try require(try await create(.random(), 101) == .overLimit(counter, limit: 200), "too large")
            let id = FilesystemID.random()
            try require(try await create(id, 100).isCommitted, "all that is left")
            try require(
                try await store.commit(.request(.random(), of: size, quotas)) == .overLimit(counter, limit: 200), "full"
            )
            let deletion = Commit.filesystem(
                id, in: .default, expectedVersion: 1,
                before: .present(FilesystemSpec(name: id.rawValue, sizeMiB: 100), [:]), events: [.deleted],
                metadata: .system, at: start)
            try require(try await store.commit(deletion).isCommitted, "deleted")
            try require(try await store.commit(.request(.random(), of: size, quotas)).isCommitted, "room again")
        },
        EventStoreContract(description: "of racing computes none gets past any quota") { store in
            for (quota, limit) in [
                (Quota.cpus, 2500), (.memoryMiB, 640), (.storageMiB, 640), (.createsPerMinute, 10), (.computes, 10),
            ] as [(Quota, Int64)] {
                let group = GroupID("race\(quota.rawValue.lowercased())")
                let size = ComputeResources(cpus: 0.25, memoryBytes: 64 << 20, diskBytes: 64 << 20)
                let outcomes = try await race(40) { _ in
                    try await store.commit(
                        .request(.random(), of: size, GroupQuotas([quota: limit]), in: group))
                }
                try require(outcomes.count(where: \.isCommitted) == 10, "\(quota): what fits")
                let refusal = CommitOutcome.overLimit(quota.counter(in: group), limit: limit)
                try require(outcomes.count { $0 == refusal } == 30, "\(quota): all others are told which")
            }
        },
        EventStoreContract(description: "a limit that sinks while computes race is not passed from then on") { store in
            let counter = Quota.computes.counter(in: .default)
            let outcomes = try await race(60) { n in
                n == 20
                    ? try await store.commit(.limiting(counter, 5))
                    : try await store.commit(.request(.random(), limit: 1000))
            }
            let made = Int64(outcomes.count(where: \.isCommitted) - 1)
            try require(try await store.counter(counter) == made, "counted")
            let later = try await store.commit(.request(.random(), limit: 1000))
            try require(later.isCommitted == (made < 5), "\(made) were made before")
        },
    ]
}

extension Commit {
    fileprivate static func moving(_ move: CounterMove, at time: WallTime = start) -> Commit {
        Commit(appends: [], counterMoves: [move], metadata: .system, occurredAt: time)
    }

    fileprivate static func limiting(_ counter: CounterName, _ limit: Int64?) -> Commit {
        var commit = Commit(appends: [], metadata: .system, occurredAt: start)
        commit.counterLimits = [CounterLimit(counter: counter, limit: limit)]
        return commit
    }

    fileprivate static func request(
        _ id: ComputeID, of size: ComputeResources, _ quotas: GroupQuotas, in group: GroupID = .default
    ) -> Commit {
        var spec = ComputeSpec(timeout: .seconds(60))
        spec.granted = size
        return .compute(
            id, in: group, expectedVersion: 0, before: .absent, events: [.requested(spec, at: start)], quotas: quotas,
            metadata: .system, at: start)
    }
}
