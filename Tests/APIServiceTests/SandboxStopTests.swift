import APIContract
import APIService
import ComputeCore
import ComputeDomain
import ComputeRuntime
import EventSourcing
import Foundation
import HTTPTypes
import HummingbirdTesting
import SidekickProtocol
import TestSupport
import Testing

/// `POST /v1/sandboxes/{id}/stop` and `…/start`.
struct SandboxStopTests {
    private static let abilities: RuntimeAbilities = [.keepDisk, .freeze]

    private func row(_ world: World, _ id: ComputeID) async throws -> ComputeSummary {
        try #require(try await world.store.inner.summary(id, in: nil))
    }

    private func claim(_ world: World, _ id: ComputeID) async throws -> ClaimOrder {
        let member = try #require(try await row(world, id).member)
        return try #require(world.sidekicks.claim(of: member))
    }

    private func created(_ world: World, _ change: (inout CreateSandbox) -> Void = { _ in }) async throws -> ComputeID {
        var request = CreateSandbox(timeout: .seconds(60))
        change(&request)
        return try await world.service.create(request, for: world.caller).id
    }

    @Test func aStoppedSandboxHasItsDiskUntilItIsStartedAsItself() async throws {
        let world = World(abilities: Self.abilities)
        try await world.withAPI { api async throws in
            for base in ["/v1/sandboxes", "/v1/sandbox"] {
                let created = try await api.create(#"{"timeout":60000,"directory":"/w"}"#)
                let id = created.sandboxID
                let computeID = try #require(ComputeID(id))
                let member = try #require(try await row(world, computeID).member)
                for _ in 0..<2 {
                    let stopped = try await api.send(.post, "\(base)/\(id)/stop")
                    #expect(stopped.status == 200 && stopped["data", "status"] == .string("stopped"), "\(stopped.text)")
                    #expect(
                        stopped["data", "expiresAt"] == .string((world.clock.now() + .seconds(7 * 86_400)).rfc3339),
                        "so long it is kept")
                    #expect(!world.runtime.isAlive(member))
                    #expect(try await world.runtime.keptDisks() == [computeID])
                }
                #expect(try await api.send(.get, "\(base)/\(id)")["data", "status"] == .string("stopped"))
                #expect(try await api.send(.get, "\(base)?state=stopped").list.count == 1)
                #expect(try await api.send(.get, base).list.count == 1, "it is alive")
                #expect(try await api.send(.get, "\(base)?state=running").list.isEmpty)
                world.clock.advance(by: .seconds(100))
                for _ in 0..<2 {
                    let started = try await api.send(.post, "\(base)/\(id)/start")
                    #expect(started.status == 200 && started["data", "status"] == .string("running"), "\(started.text)")
                    #expect(started["data", "url"] == created["data", "url"])
                }
                let running = try await row(world, computeID)
                #expect(running.generation == Generation(2))
                #expect(running.expiresAt == world.clock.now() + .seconds(60), "a new life")
                let claim = try await claim(world, computeID)
                #expect(claim.goesOn == true && claim.directory == "/w" && claim.generation == Generation(2))
                #expect(world.runtime.orders.last == MemberOrder(disk: computeID))
                let events = try await api.send(.get, "/v1/events?sandboxId=\(id)")
                #expect(
                    events.list.map { $0["type"]?.text } == [
                        "ComputeRequested", "ComputeStarted", "ComputeStopped", "ComputeStarted",
                    ])
                for word in ["in-memory", "127.0.0.1", "sidekick", "member"] { #expect(!events.text.contains(word)) }
                #expect(try await api.send(.delete, "\(base)/\(id)").status == 200)
                #expect(try await world.runtime.keptDisks().isEmpty, "nothing of it is left")
            }
        }
        #expect(try await world.claimedPlaces == 0)
    }

    @Test func whatIsStoppedIsFoundChangedAndDeletedAndNothingElse() async throws {
        let world = World(abilities: Self.abilities)
        try await world.withAPI { api async throws in
            let id = try await api.create(#"{"name":"web"}"#).sandboxID
            #expect(try await api.send(.post, "/v1/sandboxes/\(id)/pause").status == 200)
            let paused = try await api.send(.post, "/v1/sandboxes/\(id)/start")
            #expect(paused.status == 409 && paused.text.contains("resume"))
            #expect(try await api.send(.post, "/v1/sandboxes/\(id)/stop").status == 200)
            for path in ["find", "find-or-create"] {
                let found = try await api.send(.post, "/v1/sandboxes/\(path)", #"{"name":"web"}"#)
                #expect(found.sandboxID == id && found["data", "status"] == .string("stopped"))
            }
            #expect(try await api.create(#"{"name":"web"}"#).status == 409, "its name is its own")
            #expect(try await api.send(.patch, "/v1/sandboxes/\(id)", #"{"metadata":{"a":1}}"#).status == 200)
            let kept = try await api.send(
                .patch, "/v1/sandboxes/\(id)", #"{"lifecycle":{"deleteAfterStopped":5000}}"#)
            #expect(kept["data", "expiresAt"] == .string((world.clock.now() + .seconds(5)).rfc3339))
            #expect(
                kept["data", "lifecycle"]
                    == .object(["onExpiry": .string("delete"), "deleteAfterStopped": .int(5000)]))
            for (path, body) in [("pause", nil), ("resume", nil), ("extend", "{}")] as [(String, String?)] {
                let reply = try await api.send(.post, "/v1/sandboxes/\(id)/\(path)", body)
                #expect(reply.status == 409 && reply["code"] == .string("conflict"), "\(path): \(reply.text)")
            }
            #expect(try await api.send(.patch, "/v1/sandboxes/\(id)", #"{"timeout":5000}"#).status == 409)
            #expect(try await world.livingCount() == 0, "it has no place")
            #expect(try await api.send(.delete, "/v1/sandboxes/\(id)").status == 200)
            for action in ["stop", "start"] {
                #expect(try await api.send(.post, "/v1/sandboxes/\(id)/\(action)").status == 404)
            }
        }
        #expect(try await world.runtime.keptDisks().isEmpty)
    }

    @Test func aRuntimeThatKeepsNoDisksSaysSo() async throws {
        try await World().withAPI { api async throws in
            let id = try await api.create().sandboxID
            for action in ["stop", "start"] {
                let reply = try await api.send(.post, "/v1/sandboxes/\(id)/\(action)")
                #expect(reply.status == 409 && reply["code"] == .string("unsupported"))
                #expect(try await api.send(.post, "/v1/sandboxes/abcdefgh12/\(action)").status == 404)
            }
        }
    }

    @Test func valuesOfVariablesAreNowhereAndSecretsAreGivenAnew() async throws {
        let world = World(abilities: Self.abilities)
        try await world.withAPI { api async throws in
            func write(_ value: String) async throws {
                let put = try await api.send(.put, "/v1/secrets/db", #"{"value":"\#(value)"}"#)
                #expect(put.status == 200 || put.status == 201, "\(put.text)")
            }
            try await write("canary-old")
            let id = try await api.create(
                #"{"envs":{"A":"canary-env"},"secrets":[{"name":"db","env":"DB"},{"name":"db","path":"/run/s/db","mode":"0440"}]}"#
            ).sandboxID
            let computeID = try #require(ComputeID(id))
            let first = try await claim(world, computeID)
            #expect(first.env == ["A": "canary-env", "DB": "canary-old"] && first.secretEnv == ["DB"])
            #expect(try await api.send(.post, "/v1/sandboxes/\(id)/stop").status == 200)
            try await write("canary-new")
            #expect(try await api.send(.post, "/v1/sandboxes/\(id)/start").status == 200)
            let second = try await claim(world, computeID)
            #expect(second.env == ["DB": "canary-new"] && second.secretEnv == ["DB"] && second.goesOn == true)
            #expect(second.secret != first.secret, "each generation has its own")
            let file = try #require(second.secretFiles?.first)
            #expect(file.path == "/run/s/db" && file.mode == 0o440)
            let log = try await world.store.inner.events(after: nil, matching: EventFilter(), limit: 1000)
            #expect(!"\(log.events)".contains("canary"))
            #expect(!world.logs.all.contains { $0.contains("canary") })

            #expect(try await api.send(.post, "/v1/sandboxes/\(id)/stop").status == 200)
            #expect(try await api.send(.delete, "/v1/secrets/db").status == 200)
            let refused = try await api.send(.post, "/v1/sandboxes/\(id)/start")
            #expect(refused.status == 409 && refused.text.contains("secret"), "\(refused.text)")
            #expect(try await row(world, computeID).state == .stopped)
        }
    }

    @Test func aStartTakesItsShareAgainOrIsRefused() async throws {
        let world = World(abilities: Self.abilities) { $0.quotas = GroupQuotas([.computes: 1]) }
        let id = try await created(world)
        _ = try await world.service.stop(id, for: world.caller)
        let other = try await created(world)
        let refusal = await #expect(throws: Problem.self) { try await world.service.start(id, for: world.caller) }
        #expect(refusal?.status == 429)
        #expect(try await row(world, id).state == .stopped)
        try await world.service.delete(other, for: world.caller)
        _ = try await world.service.start(id, for: world.caller)
        #expect(try await world.livingCount() == 1)
    }

    @Test func ofHundredStartsOneTakesTheDisk() async throws {
        let world = World(abilities: Self.abilities)
        let id = try await created(world)
        _ = try await world.service.stop(id, for: world.caller)
        let states = try await withThrowingTaskGroup(of: ComputeSummary.self) { group in
            for _ in 0..<100 { group.addTask { try await world.service.start(id, for: world.caller) } }
            return try await group.reduce(into: [ComputeSummary]()) { $0.append($1) }
        }
        #expect(Set(states.map(\.member)).count == 1)
        #expect(try await row(world, id).generation == Generation(2))
        #expect(try await world.claimedPlaces == 1)
    }

    @Test func aStartThatFailsLeavesItStoppedWithItsDisk() async throws {
        let world = World(abilities: Self.abilities)
        let id = try await created(world)
        _ = try await world.service.stop(id, for: world.caller)
        func fails(_ what: Comment) async throws {
            await #expect(throws: Problem.self, what) { try await world.service.start(id, for: world.caller) }
            #expect(try await row(world, id).state == .stopped, what)
            #expect(try await world.runtime.keptDisks() == [id], what)
            #expect(try await world.claimedPlaces == 0, what)
            #expect(try await world.livingCount() == 0, what)
        }
        world.runtime.set { $0.startFailure = RuntimeError(.unavailable, "told to fail") }
        try await fails("no place")
        world.runtime.set { $0.startFailure = nil }
        world.sidekicks.set { $0.refuses = true }
        try await fails("no claim")
        world.sidekicks.set { $0.refuses = false }
        world.store.failCommits { $0.types.contains("ComputeStarted") }
        try await fails("no record")
        world.store.failCommits(nil)
        #expect(try await world.service.start(id, for: world.caller).generation == Generation(2))
    }

    @Test func aDeleteWhileItIsStartedLeavesNothing() async throws {
        let world = World(abilities: Self.abilities)
        let id = try await created(world)
        _ = try await world.service.stop(id, for: world.caller)
        world.sidekicks.set { $0.delay = .milliseconds(100) }
        let started = Task { try await world.service.start(id, for: world.caller) }
        while try await world.claimedPlaces == 0 { await Task.yield() }
        try await world.service.delete(id, for: world.caller)
        let refusal = await #expect(throws: Problem.self) { try await started.value }
        #expect(refusal?.status == 404)
        #expect(try await world.claimedPlaces == 0)
        #expect(try await world.runtime.keptDisks().isEmpty)
    }

    @Test func whatACrashLeftOfAStopIsSettled() async throws {
        let world = World(abilities: Self.abilities)
        let id = try await created(world)
        let member = try #require(try await row(world, id).member)
        // Kept, and not recorded.
        try await world.runtime.keepDisk(of: member, as: id)
        await world.server.sweep.step()
        #expect(try await row(world, id).state == .running && world.runtime.isAlive(member))
        // Recorded, and not ended.
        world.runtime.set { $0.removeFailure = RuntimeError(.unavailable, "told to fail") }
        await #expect(throws: Problem.self) { try await world.service.stop(id, for: world.caller) }
        #expect(try await row(world, id).state == .stopped && world.runtime.isAlive(member))
        world.runtime.set { $0.removeFailure = nil }
        await world.server.sweep.step()
        #expect(!world.runtime.isAlive(member))
        for _ in 0..<3 {
            await world.server.sweep.step()
            world.clock.advance(by: .seconds(61))
        }
        #expect(try await row(world, id).state == .stopped, "its place is not lost")
        #expect(try await world.runtime.keptDisks() == [id])
    }

    @Test func aPlaceThatDiedOfAStoppedOneIsNotLost() async throws {
        let world = World(abilities: Self.abilities)
        let id = try await created(world)
        let member = try #require(try await row(world, id).member)
        world.runtime.set { $0.removeFailure = RuntimeError(.unavailable, "told to fail") }
        _ = try? await world.service.stop(id, for: world.caller)
        world.runtime.set { $0.removeFailure = nil }
        world.runtime.kill(member)
        await world.server.sweep.step()
        #expect(try await row(world, id).state == .stopped)
        #expect(try await world.runtime.places().allSatisfy(\.isIdle))
    }

    @Test func whatACrashLeftOfAStartIsNoneOfItsPlaces() async throws {
        let world = World(abilities: Self.abilities)
        let id = try await created(world)
        _ = try await world.service.stop(id, for: world.caller)
        // Started, and not recorded.
        let left = try await world.runtime.startMember(MemberOrder(disk: id), deadline: .now + .seconds(5))
        await world.server.sweep.step()
        #expect(!world.runtime.isAlive(left.name))
        #expect(try await row(world, id).state == .stopped)
        // Nor has it to wait for the sweep.
        let again = try await world.runtime.startMember(MemberOrder(disk: id), deadline: .now + .seconds(5))
        #expect(try await world.service.start(id, for: world.caller).state == .running)
        #expect(!world.runtime.isAlive(again.name))
    }

    @Test func disksOfNobodyGoAfterTheGrace() async throws {
        let world = World(abilities: Self.abilities)
        let id = try await created(world)
        _ = try await world.service.stop(id, for: world.caller)
        // The end is recorded, and the disk is left.
        world.runtime.set { $0.keepFailure = RuntimeError(.unavailable, "told to fail") }
        try await world.service.delete(id, for: world.caller)
        world.runtime.set { $0.keepFailure = nil }
        await world.server.sweep.step()
        #expect(try await world.runtime.keptDisks() == [id])
        world.clock.advance(by: .seconds(61))
        await world.server.sweep.step()
        #expect(try await world.runtime.keptDisks().isEmpty)
    }

    @Test func aShutdownKeepsWhatIsStopped() async throws {
        let world = World(abilities: Self.abilities)
        let id = try await created(world)
        _ = try await world.service.stop(id, for: world.caller)
        let other = try await created(world)
        await world.service.endAll(.shutdown)
        await world.runtime.shutdown(keep: false)
        #expect(try await row(world, id).state == .stopped)
        #expect(try await row(world, other).endReason == .shutdown)
        #expect(try await world.runtime.keptDisks() == [id])
    }

    @Test func aGroupThatHasStoppedOnesStays() async throws {
        let world = World(abilities: Self.abilities)
        try await world.withAPI { api async throws in
            let made = try await api.send(.post, "/v1/groups", #"{"name":"team"}"#)
            let group = try #require(made["data", "groupId"]?.text, "\(made.text)")
            let key = try await world.key(of: group)
            let team = API(client: api.client, key: key)
            let id = try await team.create().sandboxID
            #expect(try await team.send(.post, "/v1/sandboxes/\(id)/stop").status == 200)
            let refused = try await team.send(.delete, "/v1/groups/\(group)")
            #expect(refused.status == 409, "\(refused.text)")
            #expect(try await team.send(.delete, "/v1/sandboxes/\(id)").status == 200)
            let deleted = try await team.send(.delete, "/v1/groups/\(group)")
            #expect(deleted.status == 200, "\(deleted.text)")
        }
    }
}
