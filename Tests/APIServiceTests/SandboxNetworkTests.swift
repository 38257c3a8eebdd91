import APIContract
import APIService
import ComputeCore
import ComputeDomain
import ComputeRuntime
import EventSourcing
import HTTPTypes
import Synchronization
import TestSupport
import Testing

/// What a sandbox may reach: `network` of creates, templates and changes.
struct SandboxNetworkTests {
    private static let order = #"{"internet":false,"allowOut":["203.0.113.7/32","198.51.100.0/24"]}"#
    private let narrow = NetworkPolicy(
        internet: false, allowOut: ["203.0.113.7", "198.51.100.0/24"].compactMap { try? IPBlock($0) })
    private let shown = JSONValue.object([
        "internet": .bool(false), "allowOut": .array([.string("203.0.113.7"), .string("198.51.100.0/24")]),
    ])

    private func member(_ world: World, _ id: String) async throws -> MemberName {
        let id = try #require(ComputeID(id))
        return try #require(try await world.store.inner.summary(id, in: nil)?.member)
    }

    @Test(arguments: [
        (3, ""), (0, ""), (3, #","name":"mine""#), (3, #","resources":{"cpus":1}"#),
    ])
    func aMemberIsNarrowedHoweverItWasFound(poolSize: Int, more: String) async throws {
        let world = World(poolSize: poolSize, abilities: [.network, .resources])
        try await world.withAPI { api async throws in
            let made = try await api.create(#"{"network":\#(Self.order)\#(more)}"#)
            #expect(made.status == 200 && made["data", "network"] == shown, "\(made.text)")
            let member = try await member(world, made.sandboxID)
            #expect(world.runtime.network(of: member) == narrow)
            #expect(world.runtime.coldStarts == (poolSize == 0 || more.contains("resources") ? 1 : 0))
            for path in ["/v1/sandboxes/\(made.sandboxID)", "/v1/sandboxes"] {
                let read = try await api.send(.get, path)
                #expect((read["data", "network"] ?? read.list.first?["network"]) == shown)
            }
            let events = try await api.send(.get, "/v1/events?sandboxId=\(made.sandboxID)&type=ComputeRequested")
            #expect(events.list.first?["data"]?["network"] == shown)
            let open = try await api.create(#"{"network":{}}"#)
            #expect(open.status == 200 && open["data", "network"] == nil)
            #expect(world.runtime.network(of: try await self.member(world, open.sandboxID)) == .open)
        }
    }

    @Test(arguments: ["", #","name":"mine""#])
    func nothingIsClaimedThatCouldNotBeNarrowed(more: String) async throws {
        let world = World(abilities: [.network]) { $0.claimAttempts = 2 }
        world.runtime.set { $0.networkFailure = RuntimeError(.unavailable, "told to fail") }
        try await world.withAPI { api async throws in
            let failed = try await api.create(#"{"network":\#(Self.order)\#(more)}"#)
            #expect(failed.status == 503, "\(failed.text)")
            #expect(world.sidekicks.claimedMembers.isEmpty)
            #expect(try await world.claimedPlaces == 0)
            #expect(try await world.livingCount() == 0)
            #expect(try await api.create().status == 200, "who asks for nothing has no part in it")
            world.runtime.set { $0.networkFailure = nil }
            #expect(try await api.create(#"{"network":\#(Self.order)\#(more)}"#).status == 200)
        }
    }

    @Test func aChangeHoldsWhenItIsAnswered() async throws {
        let world = World(abilities: [.network, .freeze])
        try await world.withAPI { api async throws in
            let id = try await api.create().sandboxID
            let member = try await member(world, id)
            for _ in 0..<2 {
                let changed = try await api.send(.patch, "/v1/sandboxes/\(id)", #"{"network":\#(Self.order)}"#)
                #expect(changed.status == 200 && changed["data", "network"] == shown, "\(changed.text)")
                #expect(world.runtime.network(of: member) == narrow)
            }
            // What is absent stays; a network is one thing.
            #expect(
                try await api.send(.patch, "/v1/sandboxes/\(id)", #"{"metadata":{"a":1}}"#)["data", "network"] == shown)
            let denied = try await api.send(.patch, "/v1/sandboxes/\(id)", #"{"network":{"denyOut":["203.0.113.9"]}}"#)
            #expect(
                denied["data", "network"]
                    == .object(["internet": .bool(true), "denyOut": .array([.string("203.0.113.9")])]))
            #expect(try await api.send(.post, "/v1/sandboxes/\(id)/pause").status == 200)
            let opened = try await api.send(.patch, "/v1/sandboxes/\(id)", #"{"network":{}}"#)
            #expect(opened.status == 200 && opened["data", "network"] == nil)
            #expect(world.runtime.network(of: member) == .open && world.runtime.isFrozen(member))
            let events = try await api.send(.get, "/v1/events?sandboxId=\(id)&type=ComputeNetworkChanged")
            #expect(
                events.list.map { $0["data"]?["network"] } == [
                    shown, denied["data", "network"], .object(["internet": .bool(true)]),
                ])
            #expect(events.list.first?["actor"]?.text?.hasPrefix("key:") == true)
            #expect(try await api.send(.delete, "/v1/sandboxes/\(id)").status == 200)
            #expect(try await api.send(.patch, "/v1/sandboxes/\(id)", #"{"network":{}}"#).status == 404)
        }
    }

    @Test func aRuntimeWithOneNetworkSaysSo() async throws {
        try await World().withAPI { api async throws in
            let refused = try await api.create(#"{"network":\#(Self.order)}"#)
            #expect(refused.status == 400 && refused["code"] == .string("unsupported_field"))
            #expect(refused["field"] == .string("network"))
            let id = try await api.create(#"{"network":{"internet":true}}"#).sandboxID
            let change = try await api.send(.patch, "/v1/sandboxes/\(id)", #"{"network":\#(Self.order)}"#)
            #expect(change.status == 409 && change["code"] == .string("unsupported"))
            #expect(change["field"] == .string("network"))
            #expect(try await api.send(.patch, "/v1/sandboxes/\(id)", #"{"network":{}}"#).status == 200)
        }
    }

    @Test func whatCannotBeGivenIsNamedAndLeavesNothing() async throws {
        let world = World(abilities: [.network])
        try await world.withAPI { api async throws in
            let id = try await api.create().sandboxID
            for (text, field) in [
                (#"{"internet":false,"allowOut":["8.8.8.8","1.1.1.1","pypi.org"]}"#, "network.allowOut[2]"),
                (#"{"internet":false,"allowOut":["169.254.169.254"]}"#, "network.allowOut[0]"),
                (#"{"denyOut":["1.2.3.4/8"]}"#, "network.denyOut[0]"), (#"{"block":true}"#, "network.block"),
            ] {
                for reply in [
                    try await api.create(#"{"network":\#(text)}"#),
                    try await api.send(.patch, "/v1/sandboxes/\(id)", #"{"network":\#(text),"timeout":1000}"#),
                    try await api.send(.post, "/v1/templates", #"{"name":"t","network":\#(text)}"#),
                ] { #expect(reply.status == 400 && reply["field"] == .string(field), "\(reply.text)") }
            }
            #expect(try await api.send(.get, "/v1/sandboxes").list.count == 1)
        }
    }

    @Test func aTemplateSaysANetworkAndACreateAnotherInItsPlace() async throws {
        let world = World(abilities: [.network])
        try await world.withAPI { api async throws in
            let made = try await api.send(.post, "/v1/templates", #"{"name":"shut","network":\#(Self.order)}"#)
            #expect(made.status == 200 && made["data", "network"]?["internet"] == .bool(false), "\(made.text)")
            let taken = try await api.create(#"{"templateId":"shut"}"#)
            #expect(taken["data", "network"] == shown)
            #expect(world.runtime.network(of: try await member(world, taken.sandboxID)) == narrow)
            let own = try await api.create(#"{"templateId":"shut","network":{"denyOut":["203.0.113.9"]}}"#)
            #expect(own["data", "network"]?["internet"] == .bool(true), "\(own.text)")
            #expect(own["data", "network"]?["allowOut"] == nil)
            #expect(try await api.create(#"{"templateId":"shut","network":{}}"#)["data", "network"] == nil)
            #expect(try await api.create(#"{"templateId":"shut","network":null}"#)["data", "network"] == shown)
        }
    }

    @Test func whatACrashLeftBetweenRecordAndPlaceIsSettled() async throws {
        let world = World(abilities: [.network])
        let compute = try await world.service.create(CreateSandbox(), for: world.caller)
        let member = try #require(compute.member)
        world.runtime.set { $0.networkFailure = RuntimeError(.unavailable, "told to fail") }
        let order = try ChangeSandbox(.object(["network": narrow.document]))
        let problem = await #expect(throws: Problem.self) {
            try await world.service.change(compute.id, order, for: world.caller)
        }
        #expect(problem?.status == 503)
        #expect(try await world.store.inner.summary(compute.id, in: nil)?.network == narrow, "the record is the truth")
        await world.server.sweep.step()
        #expect(world.runtime.network(of: member) == .open)
        world.runtime.set { $0.networkFailure = nil }
        await world.server.sweep.step()
        #expect(world.runtime.network(of: member) == narrow)
        // Done, and not recorded.
        try await world.runtime.setNetwork(.open, of: member)
        await world.server.sweep.step()
        #expect(world.runtime.network(of: member) == narrow && world.runtime.isAlive(member))
        // Who repeats it hears that it holds.
        try await world.runtime.setNetwork(.open, of: member)
        _ = try await world.service.change(compute.id, order, for: world.caller)
        #expect(world.runtime.network(of: member) == narrow)
    }

    /// Who read the record before a change does nothing to the place after that was answered.
    @Test func whatWasReadBeforeAChangeIsNotSetAfterItWasAnswered() async throws {
        let world = World(abilities: [.network])
        let compute = try await world.service.create(CreateSandbox(), for: world.caller)
        let member = try #require(compute.member)
        try await world.runtime.setNetwork(NetworkPolicy(internet: false), of: member)
        let gate = Gate()
        let set = Mutex<[NetworkPolicy]>([])
        world.runtime.set {
            $0.beforeNetwork = { policy in
                if policy == .open { await gate.pass() }
                set.withLock { $0.append(policy) }
            }
        }
        async let sweep: Void = world.server.sweep.step()
        #expect(await eventually { gate.waiting == 1 })
        let order = try ChangeSandbox(.object(["network": narrow.document]))
        async let change = world.service.change(compute.id, order, for: world.caller)
        #expect(await eventually { world.service.settleTurns.waiting == 1 }, "it waits for who is at it")
        #expect(try await world.store.inner.summary(compute.id, in: nil)?.network == narrow)
        gate.open()
        _ = try await change
        #expect(world.runtime.network(of: member) == narrow)
        await sweep
        #expect(set.withLock { $0 } == [.open, narrow, narrow], "whoever was late, and then the change itself")
        #expect(world.runtime.network(of: member) == narrow)
    }

    /// Nobody waits for a place longer than a client does.
    @Test func onlySoManyWaitForOnePlace() async throws {
        let world = World(abilities: [.network])
        let compute = try await world.service.create(CreateSandbox(), for: world.caller)
        let order = try ChangeSandbox(.object(["network": narrow.document]))
        // So that none of the others has anything to commit.
        _ = try await world.service.change(compute.id, order, for: world.caller)
        let gate = Gate()
        world.runtime.set { $0.beforeNetwork = { _ in await gate.pass() } }
        let statuses = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<20 {
                group.addTask {
                    do throws(Problem) {
                        _ = try await world.service.change(compute.id, order, for: world.caller)
                        return 200
                    } catch {
                        return error.retryAfterSeconds == nil ? 0 : error.status
                    }
                }
            }
            var statuses: [Int] = []
            for await status in group {
                statuses.append(status)
                // The others stay.
                if statuses.count == 3 { gate.open() }
            }
            return statuses
        }
        #expect(statuses.filter { $0 == 503 }.count == 3 && statuses.filter { $0 == 200 }.count == 17, "\(statuses)")
    }

    /// While nothing runs nothing can use the old one, and then it must not either.
    @Test func nothingRunsAgainBeforeAChangeHoldsThatCouldNotBeMadeWhileItWasPaused() async throws {
        let world = World(abilities: [.network, .freeze])
        let compute = try await world.service.create(CreateSandbox(), for: world.caller)
        let member = try #require(compute.member)
        _ = try await world.service.pause(compute.id, for: world.caller)
        world.runtime.set { $0.networkFailure = RuntimeError(.unavailable, "told to fail") }
        let order = try ChangeSandbox(.object(["network": narrow.document]))
        for _ in 0..<2 {
            let problem = await #expect(throws: Problem.self) {
                try await world.service.change(compute.id, order, for: world.caller)
            }
            #expect(problem?.status == 503)
            let refused = await #expect(throws: Problem.self) {
                try await world.service.resume(compute.id, for: world.caller)
            }
            #expect(refused?.status == 503)
            #expect(world.runtime.isFrozen(member) && world.runtime.network(of: member) == .open)
            #expect(try await world.store.inner.summary(compute.id, in: nil)?.state == .paused)
        }
        world.runtime.set { $0.networkFailure = nil }
        _ = try await world.service.resume(compute.id, for: world.caller)
        #expect(!world.runtime.isFrozen(member) && world.runtime.network(of: member) == narrow)
    }

    @Test func howeverChangesRaceThePlaceEndsAsTheRecordSays() async throws {
        for _ in 0..<20 {
            let world = World(abilities: [.network, .freeze])
            let compute = try await world.service.create(CreateSandbox(), for: world.caller)
            let orders = try [narrow, .open, NetworkPolicy(internet: false)].map {
                try ChangeSandbox(.object(["network": $0.document]))
            }
            await withTaskGroup(of: Void.self) { group in
                for n in 0..<6 {
                    group.addTask { _ = try? await world.service.change(compute.id, orders[n % 3], for: world.caller) }
                    group.addTask { await world.server.sweep.step() }
                }
                group.addTask { _ = try? await world.service.pause(compute.id, for: world.caller) }
            }
            let record = try #require(try await world.store.inner.summary(compute.id, in: nil))
            let member = try #require(compute.member)
            #expect(world.runtime.network(of: member) == record.network)
            #expect(world.runtime.isFrozen(member) == (record.state == .paused))
        }
    }
}
