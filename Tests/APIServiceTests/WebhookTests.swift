import APIContract
import APIService
import ComputeCore
import ComputeDomain
import Crypto
import EventSourcing
import Foundation
import HTTPTypes
import Logging
import Synchronization
import TestSupport
import Testing

struct WebhookTests {
    private func create(_ api: API, _ body: String = #"{"url":"https://hooks.example/secret-path"}"#) async throws
        -> Reply
    {
        try await api.send(.post, "/v1/webhooks", body)
    }

    private func id(_ reply: Reply) -> String { reply["data", "id"]?.text ?? "" }

    // MARK: - The routes

    @Test func aWebhookIsMadeReadChangedAndDeleted() async throws {
        let world = World(poolSize: 10)
        try await world.withAPI { api async throws in
            let made = try await create(
                api, #"{"url":"https://hooks.example/p?q=1","types":["ComputeEnded"],"description":"ours"}"#)
            #expect(made.status == 200)
            #expect(made["data", "secret"]?.text?.hasPrefix("whsec_") == true)
            let path = "/v1/webhooks/\(id(made))"
            let read = try await api.send(.get, path)
            #expect(read["data", "url"]?.text == "https://hooks.example/p?q=1")
            #expect(read["data", "types"] == .array([.string("ComputeEnded")]))
            #expect(read["data", "active"] == .bool(true))
            #expect(read["data", "secret"] == nil)
            #expect(read["data", "deliveries", "dead"] == .int(0))
            let changed = try await api.send(.patch, path, #"{"active":false,"url":"https://other.example"}"#)
            #expect(changed["data", "url"]?.text == "https://other.example/")
            #expect(changed["data", "active"] == .bool(false))
            #expect(changed["data", "description"]?.text == "ours")
            let rotated = try await api.send(.post, "\(path)/rotate")
            #expect(rotated["data", "secret"]?.text != made["data", "secret"]?.text)
            #expect(try await api.send(.get, "/v1/webhooks").list.count == 1)
            for after in ["x", "x.", "x.0"] {
                let refused = try await api.send(.get, "\(path)/deliveries?after=\(after)")
                #expect(refused.status == 400 && refused["field"]?.text == "after", "\(refused.text)")
            }
            let event = try #require(try await api.send(.get, "/v1/events").list.first?["id"]?.text)
            #expect(try await api.send(.get, "\(path)/deliveries?after=\(event)").status == 200)
            let misspelt = try await api.send(.patch, path, #"{"types":["ComputeEndedd"]}"#)
            #expect(misspelt.status == 400 && misspelt["field"]?.text == "types", "\(misspelt.text)")
            #expect(try await api.send(.delete, path).status == 200)
            for (method, path) in [
                (HTTPRequest.Method.get, path), (.delete, path), (.post, "\(path)/rotate"),
                (.get, "\(path)/deliveries"), (.post, "\(path)/redeliver"), (.get, "/v1/webhooks/NOT-AN-ID"),
            ] { #expect(try await api.send(method, path).status == 404, "\(method) \(path)") }
            #expect(try await api.send(.patch, path, "{}").status == 404)
            #expect(try await api.send(.get, "/v1/webhooks").list.isEmpty)
            let types = try await api.send(.get, "/v1/events?actor=system").list.map { $0["type"]?.text ?? "" }
            #expect(!types.contains { $0.hasPrefix("Webhook") }, "who did it is on record")
            #expect(try await api.send(.get, "/v1/events?type=WebhookDeleted").list.count == 1)
        }
    }

    @Test func whatCannotBeOneIsRefusedByName() async throws {
        let world = World(poolSize: 10)
        try await world.withAPI { api async throws in
            for (body, field) in [
                ("{}", "url"), (#"{"url":5}"#, "url"), (#"{"url":"ftp://a.example"}"#, "url"),
                (#"{"url":"https://user:pw@a.example"}"#, "url"), (#"{"url":"https://a.example/#x"}"#, "url"),
                (#"{"url":"https://"}"#, "url"), (#"{"url":"https://a.example:0/"}"#, "url"),
                (#"{"url":"https://a b.example/"}"#, "url"), (#"{"url":"https://a.example\\@b/"}"#, "url"),
                (#"{"url":"https://[::1/"}"#, "url"), (#"{"url":"https://a.example","types":"x"}"#, "types"),
                (#"{"url":"https://a.example","types":[""]}"#, "types"),
                (#"{"url":"https://a.example","types":["ComputeEnded","ComputeEndedd"]}"#, "types"),
                (#"{"url":"https://a.example","types":["note..x"]}"#, "types"),
                (#"{"url":"https://a.example","active":"yes"}"#, "active"),
                ("{\"url\":\"https://a.example/\(String(repeating: "a", count: 2048))\"}", "url"),
            ] {
                let reply = try await create(api, body)
                #expect(reply.status == 400 && reply["field"]?.text == field, "\(body)")
            }
            world.receivers.refuse("the host's address is not on the public internet")
            #expect(try await create(api)["field"]?.text == "url")
            world.receivers.refuse(nil)
            for _ in 0..<20 { #expect(try await create(api).status == 200) }
            #expect(try await create(api).status == 429)
            let other = API(client: api.client, key: try await world.key(of: "other"))
            let mine = try await create(other)
            #expect(mine.status == 200, "another group has its own")
            #expect(try await api.send(.get, "/v1/webhooks/\(id(mine))").status == 404)
            #expect(try await api.send(.delete, "/v1/webhooks/\(id(mine))").status == 404)
        }
    }

    @Test func theURLIsASecretOutsideOfItsAnswers() async throws {
        let world = World(poolSize: 10)
        try await world.withAPI { api async throws in
            let made = try await create(api)
            let secret = made["data", "secret"]?.text ?? "?"
            _ = try await api.create()
            try await world.server.dispatcher.step()
            let events = try await api.send(.get, "/v1/events").text
            let log = try await world.store.events(after: nil, matching: EventFilter(), limit: 1000).events
            let row = try await world.store.privateRow(kind: "webhook_url", key: id(made))
            for text in log.map({ "\($0)" }) + world.logs.all + [events, "\(String(describing: row))"] {
                #expect(!text.contains("secret-path") && !text.contains(secret))
            }
            #expect(events.contains("https://hooks.example"))
        }
    }

    // MARK: - Deliveries

    @Test func eventsAfterItsMakingArriveOnceInOrderAndSigned() async throws {
        let world = World(poolSize: 10)
        try await world.withAPI { api async throws in
            _ = try await api.create()
            let made = try await create(
                api, #"{"url":"https://hooks.example/a","types":["ComputeRequested","ComputeStarted"]}"#)
            let sandbox = try await api.create().sandboxID
            for _ in 0..<3 { try await world.server.dispatcher.step() }
            let messages = world.receivers.messages
            #expect(messages.map(\.message.id) == ["\(sandbox).1", "\(sandbox).2"])
            #expect(messages.allSatisfy { $0.url.text == "https://hooks.example/a" })
            let message = try #require(messages.first?.message)
            let event = try JSONDecoder().decode(SandboxEvent.self, from: Data(message.body))
            #expect(event.type == "ComputeRequested" && event.sandboxId?.rawValue == sandbox)
            // As a receiver checks it.
            let secret = try #require(made["data", "secret"]?.text)
            let key = SymmetricKey(data: try #require(Data(base64Encoded: String(secret.dropFirst(6)))))
            let seconds = message.timestamp.milliseconds / 1000
            let content = Data("\(message.id).\(seconds).".utf8) + Data(message.body)
            let expected = Data(HMAC<SHA256>.authenticationCode(for: content, using: key)).base64EncodedString()
            #expect(message.signature == "v1,\(expected)")
            // While it is changed, both sign; later only the new one.
            let rotated = try await api.send(.post, "/v1/webhooks/\(id(made))/rotate")
            _ = try await api.create()
            try await world.server.dispatcher.step()
            #expect(world.receivers.messages.last?.message.signature.split(separator: " ").count == 2)
            world.clock.advance(by: .seconds(24 * 3600 + 1))
            _ = try await api.create()
            try await world.server.dispatcher.step()
            #expect(world.receivers.messages.last?.message.signature.split(separator: " ").count == 1)
            #expect(rotated.status == 200)
        }
    }

    @Test func whatFailsIsTriedAgainLaterAndHoldsUpNothing() async throws {
        let world = World(poolSize: 10)
        try await world.withAPI { api async throws in
            let made = try await create(api, #"{"url":"https://hooks.example/a","types":["ComputeRequested"]}"#)
            let poison = try await api.create().sandboxID
            let fine = try await api.create().sandboxID
            world.receivers.answer { message, _ in .success(message.id.hasPrefix(poison) ? 500 : 204) }
            try await world.server.dispatcher.step()
            #expect(world.receivers.messages.map(\.message.id) == ["\(poison).1", "\(fine).1"])
            let path = "/v1/webhooks/\(id(made))"
            let retrying = try await api.send(.get, "\(path)/deliveries?state=retrying")
            #expect(retrying.list.count == 1)
            #expect(retrying.text.contains("\"lastStatus\":500"))
            try await world.server.dispatcher.step()
            #expect(world.receivers.messages.count == 2, "not before its time")
            // Each wait, and one more attempt after each.
            for (index, wait) in WebhookDelivery.waits.enumerated() {
                world.clock.advance(by: wait)
                try await world.server.dispatcher.step()
                #expect(world.receivers.messages.count == 3 + index)
            }
            world.clock.advance(by: .seconds(1_000_000))
            try await world.server.dispatcher.step()
            #expect(world.receivers.messages.count == 2 + WebhookDelivery.waits.count, "dead is dead")
            let dead = try await api.send(.get, "\(path)/deliveries")
            #expect(dead.list.count == 1)
            #expect(try await api.send(.get, path)["data", "deliveries", "dead"] == .int(1))
            world.receivers.answer { _, _ in .success(200) }
            #expect(try await api.send(.post, "\(path)/deliveries/\(fine).1/redeliver").status == 404)
            #expect(try await api.send(.post, "\(path)/deliveries/\(poison).1/redeliver")["data", "count"] == .int(1))
            try await world.server.dispatcher.step()
            #expect(world.receivers.messages.last?.message.id == "\(poison).1")
            #expect(
                try await api.send(.get, path)["data", "deliveries"] == .object(["dead": .int(0), "retrying": .int(0)]))
        }
    }

    @Test func deadDeliveriesCanBeForgottenOneByOneAndAllTogether() async throws {
        let world = World(poolSize: 10)
        try await world.withAPI { api async throws in
            let path =
                "/v1/webhooks/"
                + id(try await create(api, #"{"url":"https://hooks.example/a","types":["ComputeRequested"]}"#))
            world.receivers.answer { _, _ in .success(500) }
            var made: [String] = []
            for _ in 0..<4 { made.append(try await api.create().sandboxID) }
            for wait in [.zero] + WebhookDelivery.waits {
                world.clock.advance(by: wait)
                try await world.server.dispatcher.step()
            }
            #expect(try await api.send(.get, "\(path)/deliveries").list.count == 4)
            let one = "\(path)/deliveries/\(made[1]).1"
            #expect(try await api.send(.delete, one)["data", "count"] == .int(1))
            #expect(try await api.send(.delete, one).status == 404)
            #expect(try await api.send(.post, "\(one)/redeliver").status == 404)
            #expect(try await api.send(.post, "\(path)/deliveries/\(made[0]).1/redeliver").status == 200)
            #expect(try await api.send(.delete, "\(path)/deliveries/\(made[0]).1").status == 404, "it waits")
            #expect(try await api.send(.delete, "\(path)/deliveries")["data", "count"] == .int(2))
            #expect(try await api.send(.delete, "\(path)/deliveries")["data", "count"] == .int(0))
            #expect(
                try await api.send(.get, path)["data", "deliveries"] == .object(["dead": .int(0), "retrying": .int(1)]))
            world.receivers.answer { _, _ in .success(200) }
            let before = world.receivers.messages.count
            world.clock.advance(by: .seconds(1_000_000))
            try await world.server.dispatcher.step()
            #expect(world.receivers.messages.dropFirst(before).map(\.message.id) == ["\(made[0]).1"])
            // What is another group's reads as absent.
            try await world.make(group: "tenant")
            let other = API(client: api.client, key: try await world.key(of: "tenant"))
            #expect(try await other.send(.delete, "\(path)/deliveries").status == 404)
        }
    }

    @Test func aReceiverThatIsDownHasItsEventsWaitInTheLog() async throws {
        let world = World(poolSize: 10)
        try await world.withAPI { api async throws in
            let made = try await create(api, #"{"url":"https://hooks.example/a","types":["note.x"]}"#)
            let events = (0..<150).map { _ in NewEvent(type: "note.x", data: .object([:])) }
            _ = try await world.store.commit(
                Commit(
                    appends: [
                        StreamAppend(
                            stream: StreamID(category: StreamID.customCategory, id: "abcdefgh12"), group: .default,
                            expectedVersion: 0, events: events)
                    ], metadata: .system, occurredAt: world.clock.now()))
            world.receivers.answer { _, _ in .failure(WebhookFailure("down")) }
            for _ in 0..<300 { try await world.server.dispatcher.step() }
            let path = "/v1/webhooks/\(id(made))"
            #expect(try await api.send(.get, path)["data", "deliveries", "retrying"] == .int(100), "bounded")
            world.receivers.answer { _, _ in .success(200) }
            world.clock.advance(by: .seconds(3600))
            let before = world.receivers.messages.count
            for _ in 0..<50 { try await world.server.dispatcher.step() }
            let arrived = Set(world.receivers.messages.dropFirst(before).map(\.message.id))
            #expect(arrived.count == 150, "nothing is lost")
            #expect(world.receivers.messages.count == before + 150, "and nothing twice")
        }
    }

    @Test func aReceiverThatSaysItIsGoneIsAskedNoMore() async throws {
        let world = World(poolSize: 10)
        try await world.withAPI { api async throws in
            let made = try await create(api)
            _ = try await api.create()
            world.receivers.answer { _, _ in .success(410) }
            for _ in 0..<3 { try await world.server.dispatcher.step() }
            #expect(world.receivers.messages.count == 1)
            let path = "/v1/webhooks/\(id(made))"
            let read = try await api.send(.get, path)
            #expect(read["data", "active"] == .bool(false) && read["data", "disabledReason"]?.text == "gone")
            // It goes on where it was.
            world.receivers.answer { _, _ in .success(200) }
            for change in [#"{"description":"moved"}"#, #"{"types":[]}"#, #"{"active":false}"#] {
                let changed = try await api.send(.patch, path, change)
                #expect(changed["data", "disabledReason"]?.text == "gone", "it is still told of nothing")
            }
            #expect(try await api.send(.patch, path, #"{"active":true}"#)["data", "disabledReason"] == nil)
            world.clock.advance(by: .seconds(10))
            for _ in 0..<3 { try await world.server.dispatcher.step() }
            #expect(Set(world.receivers.messages.map(\.message.id)).count >= 3)
        }
    }

    @Test func aReceiverThatIsGoneAtARetryIsToldNothingNew() async throws {
        let world = World(poolSize: 10)
        try await world.withAPI { api async throws in
            let made = try await create(api, #"{"url":"https://hooks.example/a","types":["ComputeRequested"]}"#)
            _ = try await api.create()
            world.receivers.answer { _, _ in .success(500) }
            try await world.server.dispatcher.step()
            world.receivers.answer { _, _ in .success(410) }
            world.clock.advance(by: .seconds(10))
            _ = try await api.create()
            try await world.server.dispatcher.step()
            #expect(world.receivers.messages.count == 2)
            let read = try await api.send(.get, "/v1/webhooks/\(id(made))")
            #expect(read["data", "disabledReason"]?.text == "gone")
        }
    }

    @Test func aRestartGoesOnWhereItWas() async throws {
        let world = World(poolSize: 10)
        try await world.withAPI { api async throws in
            _ = try await create(api, #"{"url":"https://hooks.example/a","types":["ComputeRequested"]}"#)
            _ = try await api.create()
            try await world.server.dispatcher.step()
            let other = APIServer(
                ports: world.ports, settings: world.settings, startedAt: world.clock.now(),
                logger: .init(label: "other") { _ in world.logs })
            _ = try await api.create()
            try await other.dispatcher.step()
            #expect(world.receivers.messages.count == 2)
        }
    }

    @Test func whatIsNotForAWebhookIsPassedOverWithoutAWriteEach() async throws {
        let world = World(poolSize: 10)
        try await world.withAPI { api async throws in
            let made = try await create(api, #"{"url":"https://hooks.example/a","types":["ComputeRequested"]}"#)
            let name = "webhook:\(id(made))"
            let start = ContinuousClock.now
            _ = try await api.create()
            try await world.server.dispatcher.step()
            let place = try await world.ports.webhooks.consumers.checkpoint(of: name)
            for n in 0..<5 {
                let order = "{\"url\":\"https://other.example/\(n)\",\"active\":false}"
                #expect(try await create(api, order).status == 200)
                try await world.server.dispatcher.step()
            }
            let now = try await world.ports.webhooks.consumers.checkpoint(of: name)
            // Who is not stepped for long saves it after all.
            #expect(now == place || ContinuousClock.now - start > .seconds(9))
            _ = try await api.create()
            try await world.server.dispatcher.step()
            #expect(world.receivers.messages.count == 2)
            #expect(try await world.ports.webhooks.consumers.checkpoint(of: name) != place)
        }
    }

    /// The real service, which needs nobody to step it.
    @Test func oneOfTwoInstancesDelivers() async throws {
        let world = World(poolSize: 10)
        try await world.withAPI { api async throws in
            _ = try await create(api, #"{"url":"https://hooks.example/a","types":["ComputeRequested"]}"#)
            let running = Task {
                await withDiscardingTaskGroup { group in
                    for _ in 0..<2 {
                        let server = APIServer(
                            ports: world.ports, settings: world.settings,
                            startedAt: world.clock.now(), logger: .init(label: "one") { _ in world.logs })
                        group.addTask { try? await server.dispatcher.run() }
                    }
                }
            }
            for _ in 0..<5 { _ = try await api.create() }
            let isThrough = await eventually { world.receivers.messages.count >= 5 }
            #expect(isThrough)
            running.cancel()
            await running.value
            #expect(world.receivers.messages.count == 5)
        }
    }
}
