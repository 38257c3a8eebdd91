import APIContract
import APIService
import ComputeCore
import ComputeDomain
import ComputeRuntime
import EventSourcing
import HTTPTypes
import TestSupport
import Testing

/// `PATCH /v1/sandboxes/{id}`.
struct SandboxChangeTests {
    @Test func metadataIsMergedAndNullRemoves() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            let id = try await api.create(#"{"metadata":{"keep":1,"drop":2,"deep":{"x":1}}}"#).sandboxID
            let reply = try await api.send(
                .patch, "/v1/sandboxes/\(id)", #"{"metadata":{"drop":null,"new":"n","deep":{"y":2},"absent":null}}"#)
            #expect(reply.status == 200)
            let wanted = JSONValue.object(["keep": .int(1), "new": .string("n"), "deep": .object(["y": .int(2)])])
            #expect(reply["data", "metadata"] == wanted)
            #expect(try await api.send(.get, "/v1/sandboxes/\(id)")["data", "metadata"] == wanted)
            #expect(try await api.send(.get, "/v1/sandboxes?metadata.new=n").list.count == 1)
            #expect(try await api.send(.get, "/v1/sandboxes?metadata.drop=2").list.isEmpty)
            // What is so already is no event.
            let stream = StreamID.compute(try #require(ComputeID(id)))
            let before = try await world.store.version(of: stream)
            for body in ["{}", #"{"metadata":{"new":"n"}}"#, #"{"metadata":null,"timeout":null}"#] {
                #expect(try await api.send(.patch, "/v1/sandbox/\(id)", body).status == 200)
            }
            #expect(try await world.store.version(of: stream) == before)
            let events = try await api.send(.get, "/v1/events?sandboxId=\(id)&type=ComputeMetadataChanged")
            #expect(events.list.count == 1)
            #expect(events.list.first?["data"]?["metadata"] == wanted)
            #expect(events.list.first?["actor"]?.text?.hasPrefix("key:") == true)
            #expect(events.list.first?["requestId"]?.text?.hasPrefix("req_") == true)
        }
    }

    @Test func aTimeoutIsCountedFromNowAndTheReaperFollows() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            let id = try await api.create(#"{"timeout":60000}"#).sandboxID
            world.clock.advance(by: .seconds(10))
            let reply = try await api.send(.patch, "/v1/sandboxes/\(id)", #"{"timeout":5000}"#)
            #expect(reply["data", "expiresAt"] == .string((world.clock.now() + .seconds(5)).rfc3339))
            world.clock.advance(by: .seconds(5))
            _ = await world.server.reaper.step()
            #expect(try await api.send(.patch, "/v1/sandboxes/\(id)", #"{"timeout":5000}"#).status == 404)
        }
    }

    @Test(
        arguments: [
            (#"{"timeout":999}"#, "timeout"), (#"{"timeout":604800001}"#, "timeout"), (#"{"timeout":"1s"}"#, "timeout"),
            (#"{"metadata":[]}"#, "metadata"), (#"{"metadata":{"a":"\u0000"}}"#, "metadata"),
            (#"{"envs":{"A":"b"}}"#, "envs"),
            (#"{"name":"x"}"#, "name"), (#"{"network":{"internet":0}}"#, "network.internet"),
            (#"{"ports":[1]}"#, "ports"),
            (#"{"resources":{"cpus":1}}"#, "resources"), (#"{"templateId":"t"}"#, "templateId"),
            (#"{"duration":1000}"#, "duration"),
            ("{\"metadata\":{\"a\":\"" + String(repeating: "x", count: 16_384) + "\"}}", "metadata"),
        ])
    func whatCannotBeChangedIsNamed(_ body: String, _ field: String) async throws {
        try await World().withAPI { api async throws in
            let id = try await api.create().sandboxID
            let reply = try await api.send(.patch, "/v1/sandboxes/\(id)", body)
            #expect(reply.status == 400, "\(body.prefix(60))")
            #expect(reply["field"] == .string(field), "\(body.prefix(60))")
        }
    }

    @Test func metadataDoesNotGrowPastItsLimitInSteps() async throws {
        try await World().withAPI { api async throws in
            let id = try await api.create().sandboxID
            let part = String(repeating: "x", count: 9000)
            let first = try await api.send(.patch, "/v1/sandboxes/\(id)", "{\"metadata\":{\"a\":\"\(part)\"}}")
            #expect(first.status == 200)
            let second = try await api.send(.patch, "/v1/sandboxes/\(id)", "{\"metadata\":{\"b\":\"\(part)\"}}")
            #expect(second.status == 400 && second["field"] == .string("metadata"))
        }
    }

    @Test func racingChangesAreAllKept() async throws {
        let world = World()
        let compute = try await world.service.create(CreateSandbox(), for: world.caller)
        await withTaskGroup(of: Void.self) { group in
            for n in 0..<6 {
                group.addTask {
                    let order = try? ChangeSandbox(.object(["metadata": .object(["k\(n)": .int(1)])]))
                    guard let order else { return }
                    _ = try? await world.service.change(compute.id, order, for: world.caller)
                }
            }
        }
        let kept = try await world.store.inner.summary(compute.id, in: nil)?.metadata
        #expect(kept?.count == 6)
    }

    @Test func whatHappensAtTheEndIsHonouredOrRefused() async throws {
        try await World().withAPI { api async throws in
            #expect(try await api.create(#"{"lifecycle":{"onExpiry":"delete"}}"#).status == 200)
            #expect(try await api.create(#"{"lifecycle":{}}"#).status == 200)
            for (body, field) in [
                (#"{"onExpiry":"stop"}"#, "lifecycle.onExpiry"), (#"{"autoResume":true}"#, "lifecycle.autoResume"),
                (#"{"onExpiry":1}"#, "lifecycle.onExpiry"), ("[]", "lifecycle"),
            ] {
                let reply = try await api.create("{\"lifecycle\":\(body)}")
                #expect(reply.status == 400 && reply["field"] == .string(field), "\(body)")
            }
        }
    }
}
