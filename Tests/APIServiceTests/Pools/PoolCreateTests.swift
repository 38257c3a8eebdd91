import APIService
import ComputeCore
import ComputeDomain
import ComputeRuntime
import EventSourcing
import HTTPTypes
import Logging
import SidekickProtocol
import TestSupport
import Testing

/// Creates that a pool of their group is for.
struct PoolCreateTests {
    private func world(poolSize: Int = 0, _ change: (inout APISettings) -> Void = { _ in }) -> World {
        World(poolSize: poolSize, abilities: [.images, .resources, .filesystems]) {
            $0.coldStartDeadline = .seconds(10)
            change(&$0)
        }
    }

    /// A full pool `p` of a template `t`.
    private func fill(_ world: World, _ api: API, _ defaults: String = #""image":"i:1""#, size: Int = 3) async throws {
        #expect(try await api.template("t", defaults).status == 200)
        let made = try await api.pool("p", #""templateId":"t","size":\#(size)"#)
        #expect(made.status == 200, "\(made.text)")
        world.runtime.fillPools()
    }

    private func idle(_ world: World) -> Int { world.runtime.pools.values.reduce(0) { $0 + $1.idle } }

    @Test(arguments: ["", #","name":"mine""#]) func itGetsWhatWaits(rest: String) async throws {
        let world = world()
        try await world.withAPI { api async throws in
            try await fill(world, api)
            let waiting = Set(try await world.runtime.places().map(\.member.name))
            let made = try await api.create(
                #"{"templateId":"t","envs":{"A":"own"},"metadata":{"m":1},"directory":"/w","timeout":60000\#(rest)}"#)
            #expect(made.status == 200, "\(made.text)")
            #expect(world.runtime.coldStarts == 0 && idle(world) == 2, "none was started for it")
            let member = try #require(world.sidekicks.claimedMembers.first)
            #expect(waiting.contains(member))
            let order = try #require(world.sidekicks.claim(of: member))
            #expect(order.env == ["A": "own"] && order.directory == "/w" && order.timeoutMs == 60_000)
            #expect(made["data", "templateRevision"] == .int(1))
            let id = try #require(ComputeID(made.sandboxID))
            let spec = try #require(try Compute.state(after: try await world.store.events(of: .compute(id))).spec)
            #expect(spec.image == "i:1", "the record says what it is, wherever it came from")
        }
    }

    @Test func whatItSaysTheSameAsTheTemplateIsNoOtherMember() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            try await fill(world, api, #""image":"i:1","resources":{"cpus":2}"#)
            _ = try await api.create(#"{"templateId":"t","image":"i:1","resources":{"cpus":2}}"#)
            #expect(world.runtime.coldStarts == 0 && idle(world) == 2)
        }
    }

    @Test func whatMakesAnotherMemberStartsOne() async throws {
        let world = world(poolSize: 1)
        try await world.withAPI { api async throws in
            try await fill(world, api)
            let filesystem = #""filesystems":[{"name":"f","path":"/f"}]"#
            _ = try await api.send(.post, "/v1/filesystems", #"{"name":"f","sizeMiB":64}"#)
            for body in [
                #"{"templateId":"t","image":"i:2"}"#, #"{"templateId":"t","resources":{"cpus":2}}"#,
                #"{"templateId":"t",\#(filesystem)}"#, #"{"image":"i:1"}"#,
            ] {
                let before = world.runtime.coldStarts
                let made = try await api.create(body)
                #expect(made.status == 200, "\(made.text)")
                #expect(world.runtime.coldStarts == before + 1, "\(body)")
            }
            #expect(idle(world) == 3)
            #expect(try await api.create().status == 200)
            #expect(idle(world) == 3 && world.runtime.idleCount == 0, "who names no template gets one of the server's")
        }
    }

    /// A member of a pool is open while it waits; what its compute may reach holds before anything of it runs.
    @Test(arguments: ["", #","name":"n""#]) func whatItMayReachHoldsBeforeTheClaim(rest: String) async throws {
        let world = World(poolSize: 0, abilities: [.images, .network]) { $0.claimAttempts = 2 }
        try await world.withAPI { api async throws in
            try await fill(world, api, #""image":"i:1","network":{"internet":false}"#, size: 4)
            let waiting = Set(try await world.runtime.places().map(\.member.name))
            #expect(waiting.allSatisfy { world.runtime.network(of: $0) == .open })
            world.sidekicks.set { $0.refuses = true }
            _ = try await api.create(#"{"templateId":"t"\#(rest)}"#)
            let asked = waiting.filter { world.sidekicks.attempts(on: $0) > 0 }
            #expect(!asked.isEmpty)
            world.sidekicks.set { $0.refuses = false }

            world.runtime.set { $0.networkFailure = RuntimeError(.unavailable, "told to fail") }
            #expect(try await api.create(#"{"templateId":"t"\#(rest)}"#).status == 503)
            #expect(waiting.count { world.sidekicks.attempts(on: $0) > 0 } == asked.count, "nothing open was claimed")
            #expect(world.sidekicks.claimedMembers.isEmpty)

            world.runtime.set { $0.networkFailure = nil }
            world.runtime.fillPools()
            let made = try await api.create(#"{"templateId":"t"\#(rest)}"#)
            #expect(made.status == 200, "\(made.text)")
            let member = try #require(world.sidekicks.claimedMembers.first)
            #expect(world.runtime.network(of: member) == NetworkPolicy(internet: false))
        }
    }

    @Test func anEmptyPoolMeansAColdStart() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            try await fill(world, api, size: 1)
            for n in 0..<3 {
                #expect(try await api.create(#"{"templateId":"t"}"#).status == 200)
                #expect(world.runtime.coldStarts == n)
            }
        }
    }

    /// One that makes members like the server's own is filled for its group, and the server's own stay for the others.
    @Test func aPoolOfTheServersOwnImageComesBeforeTheServersPool() async throws {
        let world = world(poolSize: 1)
        try await world.withAPI { api async throws in
            try await fill(world, api, #""envs":{"A":"1"}"#, size: 1)
            for (pooled, own) in [(0, 1), (0, 0)] {
                #expect(try await api.create(#"{"templateId":"t"}"#).status == 200)
                #expect(idle(world) == pooled && world.runtime.idleCount == own)
            }
            #expect(world.runtime.coldStarts == 0)
        }
    }

    @Test func noOtherGroupGetsOne() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            try await fill(world, api)
            try await world.make(group: "tenant")
            let tenant = API(client: api.client, key: try await world.key(of: "tenant"))
            _ = try await tenant.template("t", #""image":"i:1""#)
            #expect(try await tenant.create(#"{"templateId":"t"}"#).status == 200)
            #expect(try await tenant.create(#"{"image":"i:1"}"#).status == 200)
            #expect(idle(world) == 3 && world.runtime.coldStarts == 2)
        }
    }

    @Test func racingCreatesGetEachMemberOnce() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            try await fill(world, api, size: 8)
            let ids = try await withThrowingTaskGroup(of: String.self) { group in
                for n in 0..<12 {
                    group.addTask {
                        let name = n % 3 == 0 ? #","name":"n\#(n)""# : ""
                        return try await api.create(#"{"templateId":"t"\#(name)}"#).sandboxID
                    }
                }
                return try await group.reduce(into: Set<String>()) { $0.insert($1) }
            }
            #expect(ids.count == 12 && !ids.contains(""))
            #expect(world.runtime.coldStarts == 4 && idle(world) == 0)
            #expect(Set(world.sidekicks.claimedMembers).count == 12)
        }
    }

    @Test func aRefusedCreateTakesNone() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            try await fill(world, api)
            _ = try await api.send(.put, "/v1/groups/default/quotas", #"{"computes":0}"#)
            for rest in ["", #","name":"n""#] {
                #expect(try await api.create(#"{"templateId":"t"\#(rest)}"#).status == 429)
            }
            #expect(idle(world) == 3)
        }
    }

    // MARK: - Revisions

    /// Also before anybody has noticed that there is a new one.
    @Test func aNewRevisionNeverGetsAnOldMember() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            try await fill(world, api)
            _ = try await api.send(.put, "/v1/templates/t", #"{"name":"t","image":"i:2"}"#)
            #expect(try await api.create(#"{"templateId":"t"}"#).status == 200)
            #expect(world.runtime.orders.map(\.image) == ["i:2"] && idle(world) == 3)
            #expect(try await api.create(#"{"templateId":"t","templateRevision":1}"#).status == 200)
            #expect(world.runtime.coldStarts == 1 && idle(world) == 2, "the old one is for who asks for the old one")
            await world.server.poolKeeper.refresh()
            #expect(try await api.create(#"{"templateId":"t","templateRevision":1}"#).status == 200)
            #expect(world.runtime.coldStarts == 1, "also when it is known, as long as it is there")
            world.runtime.fillPools()
            #expect(world.runtime.pools.values.map(\.idle) == [3])
            #expect(try await api.create(#"{"templateId":"t"}"#).status == 200)
            #expect(world.runtime.coldStarts == 1 && idle(world) == 2)
            #expect(try await api.create(#"{"templateId":"t","templateRevision":1}"#).status == 200)
            #expect(world.runtime.coldStarts == 2)
        }
    }

    @Test func aRevisionThatMakesTheSameMembersKeepsThem() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            try await fill(world, api)
            let before = Set(try await world.runtime.places().map(\.member.name))
            _ = try await api.send(.put, "/v1/templates/t", #"{"name":"t","image":"i:1","envs":{"A":"2"}}"#)
            await world.server.poolKeeper.refresh()
            #expect(Set(try await world.runtime.places().map(\.member.name)) == before)
            let made = try await api.create(#"{"templateId":"t"}"#)
            #expect(world.runtime.coldStarts == 0 && made["data", "templateRevision"] == .int(2))
            let member = try #require(world.sidekicks.claimedMembers.first)
            #expect(world.sidekicks.claim(of: member)?.env == ["A": "2"], "what is personal comes with the claim")
        }
    }

    @Test func aPoolOfAFixedRevisionStaysThere() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            try await fill(world, api)
            _ = try await api.send(.patch, "/v1/pools/p", #"{"templateRevision":1}"#)
            _ = try await api.send(.put, "/v1/templates/t", #"{"name":"t","image":"i:2"}"#)
            await world.server.poolKeeper.refresh()
            #expect(idle(world) == 3)
            _ = try await api.create(#"{"templateId":"t"}"#)
            #expect(world.runtime.coldStarts == 1)
            _ = try await api.create(#"{"templateId":"t","templateRevision":1}"#)
            #expect(world.runtime.coldStarts == 1 && idle(world) == 2)
        }
    }

    /// A create read the new revision before the keeper did, or the old one and then the keeper read.
    @Test func whatIsLeftOfTheOldRevisionCountsAsNoNeedOfTheNew() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            _ = try await api.template("t", #""image":"i:1""#)
            _ = try await api.pool("p", #""templateId":"t","min":2,"max":5"#)
            world.runtime.fillPools()
            _ = try await api.send(.put, "/v1/templates/t", #"{"name":"t","image":"i:2"}"#)
            await world.server.poolKeeper.refresh()
            for expected in [0, 0, 1] {
                _ = try await api.create(#"{"templateId":"t","templateRevision":1}"#)
                #expect(world.runtime.coldStarts == expected)
                #expect(world.runtime.pools.values.map(\.target) == [2])
            }
        }
    }

    @Test func aDeletedTemplateOrPoolRemovesWhatWaits() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            try await fill(world, api)
            let made = try await api.create(#"{"templateId":"t"}"#)
            _ = try await api.send(.delete, "/v1/pools/p")
            #expect(try await world.runtime.places().count == 1, "at once, but what is somebody's")
            _ = try await api.pool("p", #""templateId":"t","size":2"#)
            world.runtime.fillPools()
            #expect(try await world.runtime.places().count == 3)
            _ = try await api.send(.delete, "/v1/templates/t")
            await world.server.poolKeeper.refresh()
            #expect(try await world.runtime.places().count == 1)
            #expect(try await api.send(.get, "/v1/sandboxes/\(made.sandboxID)")["data", "status"]?.text == "running")
        }
    }

    // MARK: - Who tells the runtime, and when

    /// Another instance on the same log has a runtime of its own; the log tells it.
    @Test func anotherInstanceHearsOfItFromTheLog() async throws {
        let (world, other) = (world { $0.sweepInterval = .seconds(3600) }, InMemoryRuntime(abilities: [.images]))
        var ports = world.ports
        ports.runtime = other
        let keeper = PoolKeeper(ports: ports, settings: world.settings, logger: Logger(label: "test"))
        try await world.withAPI { api async throws in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await keeper.run() }
                _ = try await api.template("t", #""image":"i:1""#)
                _ = try await api.pool("p", #""templateId":"t","size":2"#)
                #expect(await eventually { other.pools.values.map(\.target) == [2] })
                _ = try await api.send(.patch, "/v1/pools/p", #"{"size":4}"#)
                #expect(await eventually { other.pools.values.map(\.target) == [4] })
                _ = try await api.send(.delete, "/v1/templates/t")
                #expect(await eventually { other.pools.isEmpty })
                group.cancelAll()
            }
        }
    }

    @Test func whatWasThereBeforeTheStartIsToldAtTheStart() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            try await fill(world, api)
            var ports = world.ports
            let other = InMemoryRuntime(abilities: [.images])
            ports.runtime = other
            await PoolKeeper(ports: ports, settings: world.settings, logger: Logger(label: "test")).refresh()
            #expect(other.pools.values.map(\.target) == [3])
        }
    }

    @Test func manyPoolsAreAllKept() async throws {
        let world = world {
            $0.poolsPerGroup = 1000
            $0.quotas[.poolMembers] = nil
        }
        try await world.withAPI { api async throws in
            _ = try await api.template("t")
            let template = try #require(
                try await api.send(.get, "/v1/templates/t")["data", "templateId"]?.text.flatMap { TemplateID($0) })
            for n in 0..<1100 {
                let spec = PoolSpec(name: "p\(n)", template: template, minimum: 1, maximum: 1)
                _ = try await world.store.commit(
                    .pool(
                        .random(), in: .default, expectedVersion: 0, before: Pool.initial, events: [.created(spec)],
                        metadata: .system, at: world.clock.now()))
            }
            await world.server.poolKeeper.refresh()
            #expect(world.runtime.pools.count == 1100, "more than a page")
        }
    }

    // MARK: - As many as are asked for

    @Test func aScaledPoolFollowsWhatIsAskedFor() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            _ = try await api.template("t", #""image":"i:1""#)
            _ = try await api.pool("p", #""templateId":"t","min":1,"max":5"#)
            world.runtime.fillPools()
            #expect(idle(world) == 1)
            func target() -> Int { world.runtime.pools.values.map(\.target).first ?? -1 }
            for expected in [2, 3, 4, 5, 5] {
                _ = try await api.create(#"{"templateId":"t"}"#)
                #expect(target() == expected, "at once, also for those that missed")
            }
            world.clock.advance(by: .seconds(3600))
            await world.server.poolKeeper.refresh()
            #expect(target() == 1)
            _ = try await api.create(#"{"templateId":"t","image":"i:2"}"#)
            #expect(target() == 1, "what it is not for does not count")
        }
    }
}
