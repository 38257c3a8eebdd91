import APIContract
import APIService
import ComputeCore
import ComputeDomain
import ComputeRuntime
import EventSourcing
import Foundation
import HTTPTypes
import HummingbirdTesting
import TestSupport
import Testing

/// `POST /v1/sandboxes/{id}/pause` and `…/resume`.
struct SandboxPauseTests {
    private func state(_ world: World, _ id: ComputeID) async throws -> ComputeSummary.State? {
        try await world.store.inner.summary(id, in: nil)?.state
    }

    @Test func aPausedSandboxStandsStillUntilItIsResumed() async throws {
        let world = World(abilities: [.freeze])
        try await world.withAPI { api async throws in
            for base in ["/v1/sandboxes", "/v1/sandbox"] {
                let created = try await api.create(#"{"timeout":60000}"#)
                let id = created.sandboxID
                let computeID = try #require(ComputeID(id))
                let member = try #require(try await world.store.inner.summary(computeID, in: nil)?.member)
                for _ in 0..<2 {
                    let paused = try await api.send(.post, "\(base)/\(id)/pause")
                    #expect(paused.status == 200 && paused["data", "status"] == .string("paused"))
                    #expect(paused["data", "expiresAt"] == created["data", "expiresAt"], "the lifetime goes on")
                    #expect(world.runtime.isFrozen(member))
                }
                #expect(try await api.send(.get, "\(base)/\(id)")["data", "status"] == .string("paused"))
                #expect(try await api.send(.get, "\(base)?state=paused").list.count == 1)
                #expect(try await api.send(.get, "\(base)?state=running").list.isEmpty)
                for _ in 0..<2 {
                    let resumed = try await api.send(.post, "\(base)/\(id)/resume")
                    #expect(resumed.status == 200 && resumed["data", "status"] == .string("running"))
                    #expect(resumed["data", "url"] == created["data", "url"])
                    #expect(!world.runtime.isFrozen(member))
                }
                let events = try await api.send(.get, "/v1/events?sandboxId=\(id)")
                #expect(
                    events.list.map { $0["type"]?.text } == [
                        "ComputeRequested", "ComputeStarted", "ComputePaused", "ComputeResumed",
                    ])
                for word in ["in-memory", "127.0.0.1", "sidekick", "member"] { #expect(!events.text.contains(word)) }
                #expect(try await api.send(.delete, "\(base)/\(id)").status == 200)
            }
        }
    }

    @Test func thePausedIsStillFoundChangedExtendedAndDeleted() async throws {
        let world = World(abilities: [.freeze])
        try await world.withAPI { api async throws in
            let id = try await api.create(#"{"name":"web","timeout":60000}"#).sandboxID
            #expect(try await api.send(.post, "/v1/sandboxes/\(id)/pause").status == 200)
            for path in ["find", "find-or-create"] {
                let found = try await api.send(.post, "/v1/sandboxes/\(path)", #"{"name":"web"}"#)
                #expect(found.sandboxID == id && found["data", "status"] == .string("paused"))
            }
            #expect(try await api.create(#"{"name":"web"}"#).status == 409)
            #expect(try await api.send(.patch, "/v1/sandboxes/\(id)", #"{"metadata":{"a":1}}"#).status == 200)
            let extended = try await api.send(.post, "/v1/sandboxes/\(id)/extend", #"{"duration":1000}"#)
            #expect(extended["data", "expiresAt"] == .string((world.clock.now() + .seconds(61)).rfc3339))
            #expect(try await world.livingCount() == 1, "it counts")
            #expect(try await api.send(.delete, "/v1/sandboxes/\(id)").status == 200)
            #expect(try await world.livingCount() == 0)
            #expect(try await api.send(.post, "/v1/sandboxes/\(id)/pause").status == 404)
            #expect(try await api.send(.post, "/v1/sandboxes/\(id)/resume").status == 404)
        }
        #expect(try await world.claimedPlaces == 0)
    }

    @Test func aRuntimeThatCannotFreezeSaysSo() async throws {
        try await World().withAPI { api async throws in
            let id = try await api.create().sandboxID
            for action in ["pause", "resume"] {
                let reply = try await api.send(.post, "/v1/sandboxes/\(id)/\(action)")
                #expect(reply.status == 409 && reply["code"] == .string("unsupported"))
                #expect(try await api.send(.post, "/v1/sandboxes/abcdefgh12/\(action)").status == 404)
            }
        }
    }

    @Test func theLifetimeOfThePausedEnds() async throws {
        let world = World(abilities: [.freeze])
        let compute = try await world.service.create(CreateSandbox(timeout: .seconds(5)), for: world.caller)
        _ = try await world.service.pause(compute.id, for: world.caller)
        world.clock.advance(by: .seconds(5))
        _ = await world.server.reaper.step()
        #expect(try await world.store.inner.summary(compute.id, in: nil)?.endReason == .expired)
        #expect(try await world.claimedPlaces == 0)
    }

    @Test func aPausedPlaceThatDiedIsLost() async throws {
        let world = World(abilities: [.freeze])
        let compute = try await world.service.create(CreateSandbox(), for: world.caller)
        _ = try await world.service.pause(compute.id, for: world.caller)
        world.runtime.kill(try #require(compute.member))
        await world.server.sweep.step()
        #expect(try await world.store.inner.summary(compute.id, in: nil)?.endReason == .lost)
    }

    @Test func whatACrashLeftBetweenRecordAndPlaceIsSettled() async throws {
        let world = World(abilities: [.freeze])
        let compute = try await world.service.create(CreateSandbox(), for: world.caller)
        let member = try #require(compute.member)
        // Recorded, and not done: the process was killed, or the place could not be frozen.
        world.runtime.set { $0.freezeFailure = RuntimeError(.unavailable, "told to fail") }
        await #expect(throws: Problem.self) { try await world.service.pause(compute.id, for: world.caller) }
        #expect(try await state(world, compute.id) == .paused)
        #expect(!world.runtime.isFrozen(member))
        await world.server.sweep.step()
        #expect(!world.runtime.isFrozen(member))
        world.runtime.set { $0.freezeFailure = nil }
        await world.server.sweep.step()
        #expect(world.runtime.isFrozen(member))
        // Done, and not recorded.
        try await world.runtime.thaw(member)
        await world.server.sweep.step()
        #expect(world.runtime.isFrozen(member) && world.runtime.isAlive(member))
        _ = try await world.service.resume(compute.id, for: world.caller)
        try await world.runtime.freeze(member)
        await world.server.sweep.step()
        #expect(!world.runtime.isFrozen(member))
    }

    @Test func aResumeThatCannotBeRecordedLeavesItPaused() async throws {
        let world = World(abilities: [.freeze])
        let compute = try await world.service.create(CreateSandbox(), for: world.caller)
        _ = try await world.service.pause(compute.id, for: world.caller)
        world.store.failCommits { $0.types.contains("ComputeResumed") }
        await #expect(throws: Problem.self) { try await world.service.resume(compute.id, for: world.caller) }
        #expect(try await state(world, compute.id) == .paused)
        #expect(world.runtime.isFrozen(try #require(compute.member)))
    }

    @Test func howeverPausesAndResumesRaceThePlaceEndsAsTheRecordSays() async throws {
        for _ in 0..<20 {
            let world = World(abilities: [.freeze])
            let compute = try await world.service.create(CreateSandbox(), for: world.caller)
            await withTaskGroup(of: Void.self) { group in
                for n in 0..<6 {
                    group.addTask {
                        if n % 2 == 0 {
                            _ = try? await world.service.pause(compute.id, for: world.caller)
                        } else {
                            _ = try? await world.service.resume(compute.id, for: world.caller)
                        }
                    }
                    group.addTask { await world.server.sweep.step() }
                }
            }
            let isPaused = try await state(world, compute.id) == .paused
            #expect(world.runtime.isFrozen(try #require(compute.member)) == isPaused)
        }
    }

    @Test func theFeedTellsWhoIsPausedAndWhereItGoesOn() async throws {
        let world = World(abilities: [.freeze])
        let compute = try await world.service.create(CreateSandbox(), for: world.caller)
        _ = try await world.service.pause(compute.id, for: world.caller)
        try await world.server.internalApplication.test(.router) { client async throws in
            let api = API(client: client, key: "")
            let found = try await api.send(.get, "/internal/v1/routes/\(compute.id)", authenticated: false)
            let paused = try JSONDecoder().decode(RouteRecord.self, from: Data(found.bytes))
            #expect(paused.state == .paused && paused.sidekick == nil && paused.version == 3)
            _ = try await world.service.resume(compute.id, for: world.caller)
            let reply = try await api.send(.get, "/internal/v1/events?wait=0", authenticated: false)
            let routes = try reply.text.split(separator: "\n").compactMap {
                try JSONDecoder().decode(FeedLine.self, from: Data($0.utf8)).route
            }
            #expect(routes.map(\.state) == [.starting, .running, .paused, .running])
            #expect(routes.map(\.version) == [1, 2, 3, 4])
            #expect(routes.last?.sidekick == compute.sidekick && routes[2].sidekick == nil)
        }
    }
}
