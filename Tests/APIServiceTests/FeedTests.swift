import APIContract
import APIService
import Auth
import ComputeCore
import ComputeDomain
import EventSourcing
import Foundation
import HTTPTypes
import HummingbirdTesting
import TestSupport
import Testing

/// What others learn of events, and what nobody may.
struct FeedTests {
    private func read(_ client: any TestClientProtocol, _ query: String) async throws -> [FeedLine] {
        let reply = try await API(client: client, key: "").send(
            .get, "/internal/v1/events?\(query)", authenticated: false)
        #expect(reply.status == 200)
        return try reply.text.split(separator: "\n").map {
            try JSONDecoder().decode(FeedLine.self, from: Data($0.utf8))
        }
    }

    @Test func theFeedTellsRoutesAndResumes() async throws {
        let world = World()
        let first = try await world.service.create(CreateSandbox(), for: world.caller)
        try await world.server.internalApplication.test(.router) { client async throws in
            let lines = try await read(client, "wait=0")
            #expect(lines.map(\.type) == ["ComputeRequested", "ComputeStarted", nil])
            #expect(lines.map { $0.route?.state } == [.starting, .running, nil])
            #expect(lines[1].route?.sidekick == first.sidekick)
            #expect(lines[1].route?.portHost == "127.0.0.1")
            let cursor = try #require(lines.last?.cursor)
            #expect(lines[1].cursor == cursor)

            try await world.service.delete(first.id, for: world.caller)
            let rest = try await read(client, "after=\(cursor)&wait=0")
            #expect(rest.map(\.type) == ["ComputeEnded", nil])
            #expect(rest.first?.route?.state == .ended)
            #expect(rest.first?.route?.sidekick == nil)
            #expect(try await read(client, "after=\(rest[0].cursor)").map(\.type) == [nil])
            // From the middle of a page events come again, and none is missed.
            #expect(try await read(client, "after=\(lines[0].cursor)").count == 4)
        }
    }

    @Test func aWaitingReaderGetsWhatHappensMeanwhile() async throws {
        let world = World()
        try await world.server.internalApplication.test(.router) { client async throws in
            async let lines = read(client, "wait=4")
            let compute = try await world.service.create(CreateSandbox(), for: world.caller)
            let seen = try await lines.compactMap(\.route)
            #expect(seen.contains { $0.computeId == compute.id && $0.state == .running })
        }
    }

    @Test func routesAndKeysAreReadById() async throws {
        let world = World()
        let compute = try await world.service.create(CreateSandbox(), for: world.caller)
        try await world.server.internalApplication.test(.router) { client async throws in
            let api = API(client: client, key: "")
            let reply = try await api.send(.get, "/internal/v1/routes/\(compute.id)", authenticated: false)
            let route = try JSONDecoder().decode(RouteRecord.self, from: Data(reply.bytes))
            #expect(route.state == .running)
            #expect(route.sidekick == compute.sidekick)
            #expect(try await api.send(.get, "/internal/v1/routes/abcdefgh12", authenticated: false).status == 404)
            let keys = try await api.send(.get, "/internal/v1/keys", authenticated: false)
            let decoded = try JSONDecoder().decode(TokenKeys.self, from: Data(keys.bytes))
            #expect(decoded.keys.map(\.kid) == [world.ports.tokens.publicKey.kid])
            for query in ["after=zzz", "wait=-1", "wait=61", "wait=x"] {
                #expect(try await api.send(.get, "/internal/v1/events?\(query)", authenticated: false).status == 400)
            }
        }
    }

    @Test func ownersSeeTheirEventsWithoutAddresses() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            let id = try await api.create(#"{"name":"web","envs":{"SECRET":"v"}}"#).sandboxID
            _ = try await api.create()
            let all = try await api.send(.get, "/v1/events")
            // The group and the key that they are read with are on record as well.
            #expect(
                all.list.map { $0["type"]?.text ?? "" }.sorted()
                    == ["APIKeyCreated", "ComputeRequested", "ComputeRequested", "ComputeStarted", "ComputeStarted"]
                    + ["GroupCreated"])
            #expect(all["next"] == nil)
            let mine = try await api.send(.get, "/v1/events?sandboxId=\(id)&limit=1")
            #expect(mine.list.count == 1)
            let rest = try await api.send(.get, "/v1/events?sandboxId=\(id)&after=\(mine["next"]?.text ?? "")")
            let event = try JSONDecoder().decode(EventList.self, from: Data(rest.bytes)).data
            #expect(event.map(\.type) == ["ComputeStarted"])
            #expect(event.first?.actor.hasPrefix("key:") == true)
            #expect(event.first?.requestId?.hasPrefix("req_") == true)
            for word in ["in-memory", "127.0.0.1", "sidekick", "member"] { #expect(!all.text.contains(word)) }
        }
    }

    /// Canaries: what is secret turns up in no event, no feed and no log line.
    @Test func secretsStayWhereTheyBelong() async throws {
        let world = World()
        world.sidekicks.set { $0.lostAnswers = 1 }
        let canary = "canary-value-7f3a"
        let tokens = Recorder()
        try await world.withAPI { api async throws in
            await tokens.add(api.key)
            for _ in 0..<2 {
                let reply = try await api.create(
                    "{\"envs\":{\"TOKEN\":\"\(canary)\"}}", headers: [HTTPField.Name("Idempotency-Key")!: "k"])
                if let token = reply["data", "token"]?.text { await tokens.add(token) }
                if let id = ComputeID(reply.sandboxID) {
                    await tokens.add(SidekickSecretText.of(id, world))
                }
            }
            _ = try await api.create("{\"envs\":{\"BAD NAME\":\"\(canary)\"}}")
            _ = try await api.send(.get, "/v1/sandboxes?token=\(canary)")
            let events = try await api.send(.get, "/v1/events")
            #expect(!events.text.contains(canary))
        }
        let secrets = await tokens.all + [canary]
        #expect(secrets.count >= 5)
        let page = try await world.store.events(after: nil, matching: EventFilter(), limit: 1000)
        let texts = page.events.map { "\($0)" } + world.logs.all
        #expect(world.logs.all.contains { $0.contains("request") })
        for secret in secrets { for text in texts { #expect(!text.contains(secret)) } }
    }
}

private actor Recorder {
    var all: [String] = []
    func add(_ text: String) { all.append(text) }
}
