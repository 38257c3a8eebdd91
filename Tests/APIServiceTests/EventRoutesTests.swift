import APIContract
import APIService
import ComputeCore
import ComputeDomain
import EventSourcing
import Foundation
import HTTPTypes
import HummingbirdTesting
import NIOCore
import TestSupport
import Testing

/// The log as its owners read it, in pages.
struct EventRoutesTests {
    @Test func eventsAreFilteredBySandboxTypeActorAndTime() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            let id = try await api.create().sandboxID
            world.clock.advance(by: .seconds(60))
            let later = world.clock.now()
            _ = try await api.create()
            func count(_ query: String) async throws -> Int {
                try await api.send(.get, "/v1/events?\(query)").list.count
            }
            #expect(try await count("sandboxId=\(id)") == 2)
            #expect(try await count("type=ComputeStarted") == 2)
            #expect(try await count("type=ComputeStarted,ComputeRequested&sandboxId=\(id)") == 2)
            #expect(try await count("type=ComputeStarted&since=\(later.rfc3339)") == 1)
            #expect(try await count("until=\(later.milliseconds)&type=ComputeStarted") == 1)
            #expect(try await count("actor=system") == 2, "the group and its first key")
            #expect(try await count("actor=nobody") == 0)
            for (query, field) in [
                ("type=a,,b", "type"), ("type=ComputeEndedd", "type"), ("type=ComputeEnded,Nothing", "type"),
                ("type=%00", "type"), ("actor=a%20b", "actor"), ("since=yesterday", "since"),
                ("until=-1", "until"), ("limit=0", "limit"), ("after=zzz", "after"),
                ("type=\(String(repeating: "a,", count: 20))a", "type"),
            ] {
                let reply = try await api.send(.get, "/v1/events?\(query)")
                #expect(reply.status == 400, "\(query)")
                #expect(reply["field"]?.text == field, "\(query)")
            }
            #expect(try await api.send(.get, "/v1/events?sandboxId=abcdefgh12").status == 404)
        }
    }

    @Test func aGroupSeesNothingOfAnother() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            let id = try await api.create().sandboxID
            let other = API(client: api.client, key: try await world.key(of: "other"))
            let seen = try await other.send(.get, "/v1/events").list
            #expect(seen.map { $0["type"] } == [.string("APIKeyCreated")], "its own key's")
            #expect(try await other.send(.get, "/v1/events?sandboxId=\(id)").status == 404)
            #expect(try await other.send(.get, "/events/\(id)").status == 404)
            #expect(try await api.send(.get, "/v1/events", authenticated: false).status == 401)
            #expect(try await api.send(.get, "/v1/events/stream", authenticated: false).status == 401)
        }
    }

    @Test func pagesOfAFilterLeadThroughTheWholeLog() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            for _ in 0..<3 { _ = try await api.create() }
            var (seen, cursor) = ([JSONValue](), "")
            for _ in 0..<10 {
                let page = try await api.send(.get, "/v1/events?type=ComputeStarted&limit=1&after=\(cursor)")
                seen += page.list
                cursor = page["cursor"]?.text ?? ""
                if page["next"] == nil { break }
            }
            #expect(seen.count == 3)
            _ = try await api.create()
            let rest = try await api.send(.get, "/v1/events?type=ComputeStarted&after=\(cursor)")
            #expect(rest.list.count == 1, "the cursor is good for later")
        }
    }

    @Test func programsPutEventsOnRecordWithTheirToken() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            let created = try await api.create()
            let (id, token) = (created.sandboxID, created["data", "token"]?.text ?? "")
            func emit(_ body: String, token: String) async throws -> Reply {
                try await api.send(
                    .post, "/events", body, headers: [.authorization: "Bearer \(token)"], authenticated: false)
            }
            let reply = try await emit(#"{"type":"build.finished","data":{"ok":true}}"#, token: token)
            #expect(reply.status == 200)
            #expect(reply["data", "sandboxId"]?.text == id)
            #expect(reply["data", "eventId"]?.text == "custom-\(id).1")
            #expect(
                try await emit(#"{"type":"build.started"}"#, token: token)["data", "eventId"]?.text == "custom-\(id).2")
            let history = try await api.send(
                .get, "/events/\(id)?type=build.finished", headers: [HTTPField.Name("X-API-Key")!: api.key],
                authenticated: false)
            #expect(history["data", "count"] == .int(1))
            guard case .array(let events)? = history["data", "events"], case .object(let event)? = events.first else {
                Issue.record("no event")
                return
            }
            #expect(event["workspaceId"]?.text == "default" && event["data"] == .object(["ok": .bool(true)]))
            #expect(try await api.send(.get, "/v1/events?sandboxId=\(id)").list.count == 4)
            #expect(try await api.send(.get, "/v1/events?sandboxId=\(id)&type=build.started").list.count == 1)
            for type in ["ComputeEnded", "", "a..b", "Build", ".a", String(repeating: "a", count: 65)] {
                let refused = try await emit("{\"type\":\"\(type)\"}", token: token)
                #expect(refused.status == 400 && refused["field"]?.text == "type", "\(type)")
            }
            let long = String(repeating: "x", count: 17 << 10)
            #expect(
                try await emit("{\"type\":\"a\",\"data\":{\"x\":\"\(long)\"}}", token: token)["field"]?.text == "data")
            #expect(try await emit(#"{"type":"a","data":[]}"#, token: token).status == 400)
            for bad in ["", "x", api.key, token + "x"] {
                #expect(try await emit(#"{"type":"a"}"#, token: bad).status == 401)
            }
            _ = try await api.send(.delete, "/v1/sandboxes/\(id)")
            #expect(try await emit(#"{"type":"a"}"#, token: token).status == 404)
        }
    }

    @Test func aTokenThatWasTakenBackPutsNothingOnRecord() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            let made = try await api.send(.post, "/v1/keys", #"{"role":"developer"}"#)
            let holder = API(client: api.client, key: made["data", "key"]?.text ?? "")
            let token = try await holder.create()["data", "token"]?.text ?? ""
            func emit() async throws -> Int {
                try await api.send(
                    .post, "/events", #"{"type":"a"}"#, headers: [.authorization: "Bearer \(token)"],
                    authenticated: false
                ).status
            }
            #expect(try await emit() == 200)
            #expect(try await api.send(.delete, "/v1/keys/\(made["data", "keyId"]?.text ?? "")").status == 200)
            #expect(try await emit() == 401)
        }
    }

    @Test func eventsAtOnceAreAllKept() async throws {
        let world = World()
        let compute = try await world.service.create(CreateSandbox(), for: world.caller)
        let service = CustomEventService(service: world.service)
        try await withThrowingTaskGroup(of: String.self) { group in
            for n in 0..<20 {
                group.addTask {
                    let order = try EmitEvent(.object(["type": .string("n\(n)")]))
                    return try await service.emit(order, on: compute.id, for: world.caller).eventId
                }
            }
            let ids = try await group.reduce(into: Set<String>()) { $0.insert($1) }
            #expect(ids.count == 20)
        }
    }
}
