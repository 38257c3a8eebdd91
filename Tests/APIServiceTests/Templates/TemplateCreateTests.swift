import APIContract
import APIService
import ComputeCore
import ComputeDomain
import ComputeRuntime
import EventSourcing
import HTTPTypes
import SidekickProtocol
import TestSupport
import Testing

/// Creates that start from a template.
struct TemplateCreateTests {
    private func world(poolSize: Int = 3, _ change: (inout APISettings) -> Void = { _ in }) -> World {
        World(poolSize: poolSize, abilities: [.images, .resources, .filesystems], change)
    }

    private func spec(_ reply: Reply, in world: World) async throws -> ComputeSpec {
        let id = try #require(ComputeID(reply.sandboxID), "\(reply.text)")
        return try #require(try Compute.state(after: try await world.store.events(of: .compute(id))).spec)
    }

    private func order(_ reply: Reply, in world: World) throws -> ClaimOrder {
        let orders = world.sidekicks.claimedMembers.compactMap(world.sidekicks.claim(of:))
        return try #require(orders.first { $0.computeId.rawValue == reply.sandboxID })
    }

    private func templates(_ world: World) async throws -> [String: UsedTemplate] {
        let page = try await world.store.inner.templates(in: .default, after: nil, limit: 1000)
        return Dictionary(
            uniqueKeysWithValues: page.templates.map {
                ($0.newest.spec.name, UsedTemplate(id: $0.id, revision: $0.newest.revision))
            })
    }

    // MARK: - What it gets

    @Test(arguments: [true, false]) func itGetsWhatTheTemplateSaysAndItDoesNot(isNamed: Bool) async throws {
        let world = world()
        try await world.withAPI { api async throws in
            _ = try await api.template(
                "py",
                #"""
                "image":"python:3.12","timeout":60000,"directory":"/w","envs":{"A":"t","B":"t"},
                "metadata":{"a":1,"b":1},"resources":{"cpus":2,"memoryMiB":512},"servers":[{"slug":"web"}]
                """#)
            let name = isNamed ? #","name":"mine""# : ""
            let made = try await api.create(
                #"{"templateId":"py","envs":{"B":"own"},"metadata":{"b":2},"resources":{"memoryMiB":256}\#(name)}"#)
            #expect(made.status == 200, "\(made.text)")
            let used = try #require(try await templates(world)["py"])
            #expect(made["data", "templateId"]?.text == used.id.rawValue, "the id, by whatever it was named")
            #expect(made["data", "templateRevision"] == .int(1))
            #expect(made["data", "metadata"] == .object(["a": .int(1), "b": .int(2)]))
            let spec = try await spec(made, in: world)
            #expect(spec.template == used && spec.image == "python:3.12" && spec.timeout == .seconds(60))
            #expect(spec.envNames == ["A", "B"] && spec.directory == "/w")
            let resources = ComputeResources(cpus: 2, memoryBytes: 256 << 20)
            #expect(spec.resources == resources)
            #expect(world.runtime.orders == [MemberOrder(image: "python:3.12", resources: resources)])
            let order = try order(made, in: world)
            #expect(order.env == ["A": "t", "B": "own"] && order.directory == "/w" && order.timeoutMs == 60_000)
            #expect(order.setup != nil)
            let found = try await api.send(.get, "/v1/sandboxes/\(made.sandboxID)")
            #expect(found["data", "templateRevision"] == .int(1))
            let event = try await api.send(.get, "/v1/events").list.first { $0["type"] == .string("ComputeRequested") }
            #expect(event?["data"]?["templateId"]?.text == used.id.rawValue)
            #expect(event?["data"]?["templateRevision"] == .int(1))
        }
    }

    @Test func withNothingThatTakesAPlaceOfItsOwnItComesFromThePool() async throws {
        let world = world(poolSize: 1)
        try await world.withAPI { api async throws in
            let id = try await api.template("t", #""envs":{"A":"t"}"#)["data", "templateId"]?.text ?? ""
            let made = try await api.create(#"{"templateId":"\#(id)"}"#)
            #expect(made.status == 200 && made["data", "templateId"]?.text == id, "\(made.text)")
            #expect(world.runtime.orders.isEmpty, "no cold start")
            #expect(try order(made, in: world).env == ["A": "t"])
            #expect(try await spec(made, in: world).template?.id.rawValue == id)
            let plain = try await api.create(#"{"name":"plain"}"#)
            #expect(plain["data", "templateId"] == nil && plain["data", "templateRevision"] == nil)
        }
    }

    @Test func aRevisionStaysWhatItWas() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            _ = try await api.template("t", #""envs":{"A":"1"}"#)
            let first = try await api.create(#"{"templateId":"t"}"#)
            _ = try await api.send(.put, "/v1/templates/t", #"{"name":"t","envs":{"A":"2"}}"#)
            let (old, new) = (
                try await api.create(#"{"templateId":"t","templateRevision":1}"#),
                try await api.create(#"{"templateId":"t"}"#)
            )
            #expect(old["data", "templateRevision"] == .int(1) && new["data", "templateRevision"] == .int(2))
            #expect(try order(old, in: world).env == ["A": "1"] && order(new, in: world).env == ["A": "2"])
            let named = try await api.create(#"{"templateId":"t","templateRevision":2,"name":"n"}"#)
            #expect(named["data", "templateRevision"] == .int(2))
            let found = try await api.send(.get, "/v1/sandboxes/\(first.sandboxID)")
            #expect(found["data", "templateRevision"] == .int(1), "what is there stays")
        }
    }

    @Test func aDeletedTemplateLeavesWhatWasMadeOfIt() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            let id = try await api.template("t", #""metadata":{"a":1}"#)["data", "templateId"]?.text ?? ""
            let made = try await api.create(#"{"templateId":"t"}"#)
            #expect(try await api.send(.delete, "/v1/templates/t").status == 200)
            let found = try await api.send(.get, "/v1/sandboxes/\(made.sandboxID)")
            #expect(found["data", "status"] == .string("running") && found["data", "templateId"]?.text == id)
            #expect(found["data", "metadata"] == .object(["a": .int(1)]))
            for name in ["t", id] {
                let reply = try await api.create(#"{"templateId":"\#(name)"}"#)
                #expect(reply.status == 400 && reply["field"] == .string("templateId"), "\(reply.text)")
            }
        }
    }

    // MARK: - What is refused

    @Test func whatIsNoTemplateIsRefusedByItsFieldAndNothingIsLeft() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            _ = try await api.template("t")
            for (body, field) in [
                (#""templateId":"x""#, "templateId"), (#""templateId":"""#, "templateId"),
                (#""templateId":"a\u0000""#, "templateId"), (#""templateId":5"#, "templateId"),
                (#""templateId":"\#(String(repeating: "x", count: 5000))""#, "templateId"),
                (#""templateId":"aaaaaaaaaaaaaaaaaaaa""#, "templateId"),
                (#""templateId":"t","templateRevision":2"#, "templateRevision"),
                (#""templateId":"t","templateRevision":0"#, "templateRevision"),
                (#""templateRevision":1"#, "templateRevision"),
            ] {
                for (path, rest) in [("", ""), ("", #","name":"n""#), ("/find-or-create", #","name":"n""#)] {
                    let reply = try await api.send(.post, "/v1/sandboxes\(path)", "{\(body)\(rest)}")
                    #expect(reply.status == 400 && reply["field"] == .string(field), "\(body): \(reply.text)")
                }
            }
            #expect(try await world.livingCount() == 0)
            #expect(world.sidekicks.claimedMembers.isEmpty && world.runtime.orders.isEmpty)
        }
    }

    @Test func whatComesOfItIsCheckedAsAnyCreate() async throws {
        let world = World(abilities: [.resources]) { $0.maximumResources = ComputeResources(cpus: 4) }
        try await world.withAPI { api async throws in
            for (name, defaults, field) in [
                ("image", #""image":"i""#, "image"), ("cpus", #""resources":{"cpus":5}"#, "resources.cpus"),
                ("disk", #""filesystems":[{"name":"f","path":"/f"}]"#, "filesystems"),
                ("secret", #""secrets":[{"name":"none","env":"S"}]"#, "secrets[0].name"),
            ] {
                #expect(try await api.template(name, defaults).status == 200)
                for rest in ["", #","name":"n""#] {
                    let reply = try await api.create(#"{"templateId":"\#(name)"\#(rest)}"#)
                    #expect(reply.status == 400 && reply["field"] == .string(field), "\(name): \(reply.text)")
                }
            }
            let smaller = try await api.create(#"{"templateId":"cpus","resources":{"cpus":1}}"#)
            #expect(smaller.status == 200, "\(smaller.text)")
            let without = try await api.create(#"{"templateId":"disk","filesystems":[]}"#)
            #expect(without.status == 200, "\(without.text)")
        }
    }

    @Test func quotasCountWhatTheTemplateAsksFor() async throws {
        let world = world(poolSize: 0) { $0.quotas = GroupQuotas([.memoryMiB: 1024]) }
        try await world.withAPI { api async throws in
            _ = try await api.template("large", #""resources":{"memoryMiB":700}"#)
            #expect(try await api.create(#"{"templateId":"large"}"#).status == 200)
            #expect(try await world.store.counter(Quota.memoryMiB.counter(in: .default)) == 700)
            for rest in ["", #","name":"n""#] {
                let reply = try await api.create(#"{"templateId":"large"\#(rest)}"#)
                #expect(reply.status == 429 && reply["code"] == .string("quota_exceeded"), "\(reply.text)")
            }
            let small = try await api.create(#"{"templateId":"large","resources":{"memoryMiB":300}}"#)
            #expect(small.status == 200, "\(small.text)")
        }
    }

    @Test func itTakesThePowersForWhatTheTemplateGives() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            _ = try await api.send(.put, "/v1/secrets/s", #"{"value":"x"}"#)
            _ = try await api.template("plain")
            _ = try await api.template("secret", #""secrets":[{"name":"s","env":"S"}]"#)
            _ = try await api.template("disk", #""filesystems":[{"name":"f","path":"/f"}]"#)
            func status(_ template: String, _ scopes: [Scope], _ rest: String = "") async throws -> (Int, String?) {
                let key = try await world.key(of: "default", Authority(role: .developer, scopes: Set(scopes)))
                let reply = try await API(client: api.client, key: key).create(
                    #"{"templateId":"\#(template)"\#(rest)}"#)
                return (reply.status, reply["field"]?.text)
            }
            for rest in ["", #","name":"n""#] {
                #expect(try await status("plain", [.sandboxesWrite], rest) == (403, "templateId"))
                #expect(try await status("secret", [.sandboxesWrite, .templatesRead], rest) == (403, "secrets"))
                #expect(try await status("disk", [.sandboxesWrite, .templatesRead], rest) == (403, "filesystems"))
            }
            #expect(try await world.livingCount() == 0)
            #expect(try await status("plain", [.sandboxesWrite, .templatesRead]) == (200, nil))
            #expect(try await status("secret", [.sandboxesWrite, .templatesRead, .secretsUse]) == (200, nil))
        }
    }

    @Test func whoWritesATemplateNeedsThePowersForWhatItGives() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            _ = try await api.send(.put, "/v1/secrets/s", #"{"value":"x"}"#)
            _ = try await api.template("ci")
            let gifts = [
                (#""secrets":[{"name":"s","env":"S"}]"#, "secrets", Scope.secretsUse),
                (#""filesystems":[{"name":"f","path":"/f"}]"#, "filesystems", .filesystemsUse),
            ]
            for (gift, field, scope) in gifts {
                for (extra, expected) in [([], 403), ([scope], 200)] as [([Scope], Int)] {
                    let scopes: Set<Scope> = Set([.templatesRead, .templatesWrite] + extra)
                    let key = try await world.key(of: "default", Authority(role: .developer, scopes: scopes))
                    let writer = API(client: api.client, key: key)
                    for reply in [
                        try await writer.send(.put, "/v1/templates/ci", #"{"name":"ci",\#(gift)}"#),
                        try await writer.send(.post, "/v1/templates", #"{"name":"t-\#(field)",\#(gift)}"#),
                    ] {
                        #expect(reply.status == expected, "\(reply.text)")
                        if expected == 403 { #expect(reply["field"] == .string(field)) }
                    }
                }
            }
        }
    }

    // MARK: - Once and not twice

    @Test func aRepeatGetsTheSameComputeWhateverBecameOfTheTemplate() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            _ = try await api.template("t", #""envs":{"A":"1"}"#)
            let key: HTTPFields = [HTTPField.Name("Idempotency-Key")!: "k"]
            let body = #"{"templateId":"t"}"#
            let made = try await api.create(body, headers: key)
            #expect(made.status == 200, "\(made.text)")
            _ = try await api.send(.put, "/v1/templates/t", #"{"name":"t","envs":{"A":"2"}}"#)
            let revised = try await api.create(body, headers: key)
            #expect(revised.sandboxID == made.sandboxID && revised["data", "templateRevision"] == .int(1))
            #expect(try await api.send(.delete, "/v1/templates/t").status == 200)
            #expect(try await api.create(body, headers: key).sandboxID == made.sandboxID)
            let other = try await api.create(#"{"templateId":"t","templateRevision":1}"#, headers: key)
            #expect(other.status == 409, "another request: \(other.text)")
            #expect(try await world.livingCount() == 1)
        }
    }

    @Test func findOrCreateLooksAtTheTemplateOnlyWhenItCreates() async throws {
        let world = world(poolSize: 8)
        try await world.withAPI { api async throws in
            _ = try await api.template("t", #""metadata":{"a":1}"#)
            let body = #"{"name":"n","templateId":"t"}"#
            let replies = try await withThrowingTaskGroup(of: Reply.self) { group in
                for _ in 0..<6 {
                    group.addTask { try await api.send(.post, "/v1/sandboxes/find-or-create", body) }
                }
                return try await group.reduce(into: [Reply]()) { $0.append($1) }
            }
            #expect(Set(replies.map(\.sandboxID)).count == 1 && replies.allSatisfy { $0.status == 200 })
            #expect(replies.allSatisfy { $0["data", "templateRevision"] == .int(1) })
            #expect(try await api.send(.delete, "/v1/templates/t").status == 200)
            let found = try await api.send(.post, "/v1/sandboxes/find-or-create", body)
            #expect(found.sandboxID == replies[0].sandboxID, "\(found.text)")
            #expect(try await api.send(.delete, "/v1/sandboxes/\(found.sandboxID)").status == 200)
            let gone = try await api.send(.post, "/v1/sandboxes/find-or-create", body)
            #expect(gone.status == 400 && gone["field"] == .string("templateId"), "\(gone.text)")
        }
    }
}
