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

/// What becomes of sandboxes whose time is over.
struct SandboxLifecycleTests {
    private static let abilities: RuntimeAbilities = [.keepDisk, .freeze]

    private func row(_ world: World, _ id: ComputeID) async throws -> ComputeSummary {
        try #require(try await world.store.inner.summary(id, in: nil))
    }

    private func created(_ world: World, _ change: (inout CreateSandbox) -> Void) async throws -> ComputeID {
        var request = CreateSandbox(timeout: .seconds(60))
        change(&request)
        return try await world.service.create(request, for: world.caller).id
    }

    @Test func whatBecomesOfItIsTakenShownAndChanged() async throws {
        try await World(abilities: Self.abilities).withAPI { api async throws in
            let created = try await api.create(#"{"lifecycle":{"onExpiry":"stop","deleteAfterStopped":60000}}"#)
            let lifecycle = JSONValue.object(["onExpiry": .string("stop"), "deleteAfterStopped": .int(60000)])
            #expect(created["data", "lifecycle"] == lifecycle, "\(created.text)")
            let changed = try await api.send(
                .patch, "/v1/sandboxes/\(created.sandboxID)", #"{"lifecycle":{"onExpiry":"pause"}}"#)
            #expect(
                changed["data", "lifecycle"]
                    == .object(["onExpiry": .string("pause"), "deleteAfterStopped": .int(60000)]))
            #expect(try await api.create()["data", "lifecycle"] == nil)
            let template = try await api.send(
                .post, "/v1/templates", #"{"name":"kept","lifecycle":{"onExpiry":"stop"}}"#)
            #expect(template.status == 200 || template.status == 201, "\(template.text)")
            let made = try await api.create(#"{"templateId":"kept","lifecycle":{"deleteAfterStopped":5000}}"#)
            #expect(
                made["data", "lifecycle"] == .object(["onExpiry": .string("stop"), "deleteAfterStopped": .int(5000)]))
            for (body, field) in [
                (#"{"deleteAfterStopped":2592000001}"#, "lifecycle.deleteAfterStopped"),
                (#"{"deleteAfterStopped":999}"#, "lifecycle.deleteAfterStopped"),
                (#"{"deleteAfterStopped":"1d"}"#, "lifecycle.deleteAfterStopped"),
                (#"{"onExpiry":"archive"}"#, "lifecycle.onExpiry"), (#"{"autoResume":true}"#, "lifecycle.autoResume"),
            ] {
                for reply in [
                    try await api.create("{\"lifecycle\":\(body)}"),
                    try await api.send(
                        .patch, "/v1/sandboxes/\(created.sandboxID)", "{\"lifecycle\":\(body)}"),
                ] { #expect(reply.status == 400 && reply["field"] == .string(field), "\(body): \(reply.text)") }
            }
        }
    }

    @Test func whatTheRuntimeCannotDoIsNoEnd() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            let id = try await api.create().sandboxID
            for word in ["stop", "pause"] {
                for reply in [
                    try await api.create(#"{"lifecycle":{"onExpiry":"\#(word)"}}"#),
                    try await api.send(.patch, "/v1/sandboxes/\(id)", #"{"lifecycle":{"onExpiry":"\#(word)"}}"#),
                ] {
                    #expect(
                        reply.status == 400 && reply["code"] == .string("unsupported_field")
                            && reply["field"] == .string("lifecycle.onExpiry"))
                }
            }
        }
    }

    @Test func theReaperStopsWhatIsToBeStoppedAndDeletesItLater() async throws {
        let world = World(abilities: Self.abilities)
        let id = try await created(world) {
            $0.lifecycle = ComputeLifecycle(onExpiry: .stop, deleteAfterStopped: .seconds(100))
        }
        let member = try #require(try await row(world, id).member)
        world.clock.advance(by: .seconds(60))
        _ = await world.server.reaper.step()
        #expect(try await row(world, id).state == .stopped && !world.runtime.isAlive(member))
        #expect(try await world.livingCount() == 0)
        world.clock.advance(by: .seconds(99))
        _ = await world.server.reaper.step()
        #expect(try await row(world, id).state == .stopped)
        #expect(try await world.service.start(id, for: world.caller).state == .running)
        world.clock.advance(by: .seconds(60))
        _ = await world.server.reaper.step()
        world.clock.advance(by: .seconds(100))
        _ = await world.server.reaper.step()
        #expect(try await row(world, id).endReason == .expired)
        #expect(try await world.runtime.keptDisks().isEmpty)
    }

    @Test func theReaperPausesWhatIsToBePausedAndAResumeIsANewLife() async throws {
        let world = World(abilities: Self.abilities)
        let id = try await created(world) { $0.lifecycle = ComputeLifecycle(onExpiry: .pause) }
        let member = try #require(try await row(world, id).member)
        world.clock.advance(by: .seconds(61))
        for _ in 0..<3 { _ = await world.server.reaper.step() }
        #expect(try await row(world, id).state == .paused && world.runtime.isFrozen(member))
        #expect(try await row(world, id).expiresAt == world.clock.now() + .seconds(7 * 86_400))
        #expect(try await world.store.inner.events(of: .compute(id)).count == 3, "once")
        _ = try await world.service.resume(id, for: world.caller)
        #expect(try await row(world, id).expiresAt == world.clock.now() + .seconds(60))
        world.clock.advance(by: .seconds(60))
        _ = await world.server.reaper.step()
        world.clock.advance(by: .seconds(7 * 86_400))
        _ = await world.server.reaper.step()
        #expect(try await row(world, id).endReason == .expired)
    }

    @Test func whoseTimeIsOverIsFoundUntilTheReaperComes() async throws {
        let world = World(abilities: Self.abilities)
        try await world.withAPI { api async throws in
            let id = try await api.create(#"{"name":"web","timeout":1000,"lifecycle":{"onExpiry":"stop"}}"#).sandboxID
            world.clock.advance(by: .seconds(2))
            let found = try await api.send(.post, "/v1/sandboxes/find-or-create", #"{"name":"web"}"#)
            #expect(found.sandboxID == id, "its end is none: another one must not take its name")
        }
    }
}
