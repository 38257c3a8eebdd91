import APIService
import ComputeCore
import ComputeDomain
import ComputeRuntime
import EventSourcing
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import Synchronization
import TestSupport
import Testing

struct PoolRoutesTests {
    private func world(
        _ abilities: RuntimeAbilities = [.images, .resources, .filesystems],
        _ change: (inout APISettings) -> Void = { _ in }
    ) -> World {
        World(poolSize: 0, abilities: abilities, change)
    }

    @Test func aPoolIsMadeListedChangedAndDeleted() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            let template = try await api.template("py", #""image":"python:3.12""#)["data", "templateId"]?.text ?? ""
            let made = try await api.pool("warm", #""templateId":"py","size":2"#)
            let id = made["data", "poolId"]?.text ?? ""
            #expect(made.status == 200 && made["data", "revision"] == .int(1), "\(made.text)")
            #expect(made["data", "templateId"]?.text == template && made["data", "templateRevision"] == nil)
            #expect(made["data", "size"] == .int(2) && made["data", "min"] == nil && made["data", "max"] == nil)
            #expect(made["data", "autoscale"] == .bool(false))
            #expect(made["data", "status"]?["target"] == .int(2), "the runtime knows before the answer")
            #expect(made["data", "status"]?["health"] == .string("starting"), "nobody knows yet whether they start")
            world.runtime.fillPools()
            #expect(try await api.send(.get, "/v1/pools/warm")["data", "status"]?["health"] == .string("healthy"))
            for path in [id, "warm"] {
                let found = try await api.send(.get, "/v1/pools/\(path)")
                #expect(found["data", "poolId"]?.text == id && found["data", "status"]?["idle"] == .int(2))
            }
            for name in ["a", "z"] { _ = try await api.pool(name, #""templateId":"py","min":1,"max":3"#) }
            let first = try await api.send(.get, "/v1/pools?limit=2")
            #expect(first.list.map { $0["name"]?.text } == ["a", "warm"])
            #expect(first.list.first?["max"] == .int(3) && first.list.first?["size"] == nil)
            #expect(first.list.first?["autoscale"] == .bool(true))
            let rest = try await api.send(.get, "/v1/pools?limit=2&cursor=\(first["next"]?.text ?? "")")
            #expect(rest.list.map { $0["name"]?.text } == ["z"] && rest["next"] == nil)

            world.clock.advance(by: .seconds(5))
            let path = "/v1/pools/\(id)"
            let changed = try await api.send(.patch, path, #"{"name":"hot","min":1,"max":4,"templateRevision":1}"#)
            #expect(changed.status == 200 && changed["data", "revision"] == .int(2), "\(changed.text)")
            #expect(changed["data", "name"]?.text == "hot" && changed["data", "templateRevision"] == .int(1))
            #expect(changed["data", "min"] == .int(1) && changed["data", "size"] == nil)
            #expect(changed["data", "createdAt"] == made["data", "createdAt"])
            #expect(changed["data", "updatedAt"] != made["data", "updatedAt"])
            #expect(changed["data", "status"]?["target"] == .int(1))
            let follows = try await api.send(.patch, path, #"{"templateId":"py","size":0}"#)
            #expect(follows["data", "templateRevision"] == nil && follows["data", "size"] == .int(0), "\(follows.text)")

            #expect(try await api.send(.delete, path).status == 200)
            for reply in [
                try await api.send(.get, path), try await api.send(.delete, path),
                try await api.send(.patch, path, "{}"), try await api.send(.get, "/v1/pools/warm"),
            ] { #expect(reply.status == 404, "\(reply.text)") }
            #expect(world.runtime.pools.count == 2)
            let again = try await api.pool("hot", #""templateId":"py","size":1"#)
            #expect(again.status == 200 && again["data", "poolId"]?.text != id, "the name is free again")
        }
    }

    @Test func whatWasReadCanBeWrittenBack() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            _ = try await api.template("py")
            for (name, rest) in [
                ("a", #""size":2"#), ("b", #""min":0,"max":2"#), ("c", #""size":1,"templateRevision":1"#),
            ] {
                let made = try await api.pool(name, #""templateId":"py",\#(rest)"#)
                let body = String(decoding: try #require(made["data"]).utf8, as: UTF8.self)
                let back = try await api.send(.patch, "/v1/pools/\(name)", body)
                #expect(back["data"] == made["data"], "\(back.text)")
            }
        }
    }

    @Test func whatCannotBeIsRefusedByItsField() async throws {
        let world = World(poolSize: 0, abilities: [.resources, .filesystems]) {
            $0.maximumResources = ComputeResources(cpus: 4)
        }
        try await world.withAPI { api async throws in
            _ = try await api.template("t")
            _ = try await api.template("disk", #""filesystems":[{"name":"f","path":"/f"}]"#)
            _ = try await api.template("image", #""image":"i""#)
            _ = try await api.template("large", #""resources":{"cpus":5}"#)
            for (body, field) in [
                (#""templateId":"t""#, "size"), (#""templateId":"t","min":1"#, "max"),
                (#""templateId":"t","min":2,"max":1"#, "min"), (#""templateId":"t","size":-1"#, "size"),
                (#""templateId":"t","size":1001"#, "size"), (#""templateId":"t","size":"1""#, "size"),
                (#""templateId":"t","size":1,"max":2"#, "size"), (#""templateId":"t","max":1.5"#, "max"),
                (#""templateId":"t","size":1,"autoscale":true"#, "autoscale"),
                (#""templateId":"t","max":2,"autoscale":false"#, "autoscale"),
                (#""templateId":"t","min":2,"max":2,"autoscale":true"#, "autoscale"),
                (#""templateId":"t","size":1,"templateRevision":2"#, "templateRevision"),
                (#""templateId":"t","size":1,"templateRevision":0"#, "templateRevision"),
                (#""size":1"#, "templateId"), (#""templateId":"none","size":1"#, "templateId"),
                (#""templateId":"a\u0000","size":1"#, "templateId"), (#""templateId":"disk","size":1"#, "templateId"),
                (#""templateId":"image","size":1"#, "templateId"), (#""templateId":"large","size":1"#, "templateId"),
            ] {
                let reply = try await api.pool("p", body)
                #expect(reply.status == 400 && reply["field"] == .string(field), "\(body): \(reply.text)")
            }
            let disk = try await api.pool("p", #""templateId":"disk","size":1"#)
            #expect(disk["message"]?.text?.contains("filesystems") == true, "\(disk.text)")
            for name in ["", "-a", "a/b", String(repeating: "a", count: 64)] {
                let reply = try await api.pool(name, #""templateId":"t","size":1"#)
                #expect(reply.status == 400 && reply["field"] == .string("name"), "\(reply.text)")
            }
            #expect(try await api.pool("p", #""templateId":"t","size":3"#).status == 200)
            for (body, field) in [
                (#"{"min":4}"#, "min"), (#"{"max":2}"#, "max"), (#"{"min":3,"max":2}"#, "min"),
                (#"{"templateId":"none"}"#, "templateId"), (#"{"templateRevision":2}"#, "templateRevision"),
                (#"{"autoscale":true}"#, "autoscale"), (#"{"autoscale":true,"min":3}"#, "autoscale"),
                (#"{"name":"-"}"#, "name"), (#"{"revision":0}"#, "revision"), (#"{"templateId":"disk"}"#, "templateId"),
            ] {
                let reply = try await api.send(.patch, "/v1/pools/p", body)
                #expect(reply.status == 400 && reply["field"] == .string(field), "\(body): \(reply.text)")
            }
            _ = try await api.pool("scaled", #""templateId":"t","min":0,"max":3"#)
            let fixed = try await api.send(.patch, "/v1/pools/scaled", #"{"autoscale":false}"#)
            #expect(fixed.status == 400 && fixed["field"] == .string("autoscale"), "\(fixed.text)")
            #expect(try await api.send(.patch, "/v1/pools/scaled", #"{"autoscale":true,"min":1}"#).status == 200)
            let twice = try await api.pool("p", #""templateId":"t","size":1"#)
            #expect(twice.status == 409 && twice["field"] == .string("name"), "\(twice.text)")
            let found = try await api.send(.get, "/v1/pools/p")
            #expect(found["data", "size"] == .int(3) && found["data", "revision"] == .int(1), "nothing came of it")
        }
    }

    @Test func whoMissedAChangeDoesNotUndoIt() async throws {
        try await world().withAPI { api async throws in
            _ = try await api.template("t")
            _ = try await api.pool("p", #""templateId":"t","size":1"#)
            #expect(try await api.send(.patch, "/v1/pools/p", #"{"size":2,"revision":1}"#).status == 200)
            let late = try await api.send(.patch, "/v1/pools/p", #"{"size":3,"revision":1}"#)
            #expect(late.status == 409 && late["field"] == .string("revision"), "\(late.text)")
            let repeated = try await api.send(.patch, "/v1/pools/p", #"{"size":2,"revision":1}"#)
            #expect(repeated.status == 200 && repeated["data", "revision"] == .int(2), "his own, once more")
        }
    }

    /// Of the template that was looked at, or it may be one that nobody looked at, or none.
    @Test func aRevisionAloneIsOfTheTemplateThatWasLookedAt() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            let template = try await api.template("t")["data", "templateId"]?.text ?? ""
            _ = try await api.send(.put, "/v1/templates/t", #"{"name":"t","image":"i:2"}"#)
            _ = try await api.template("other")
            _ = try await api.pool("p", #""templateId":"t","size":1"#)
            let isFirst = Mutex(true)
            world.store.delayCommits {
                guard
                    isFirst.withLock({ first in
                        defer { first = false }
                        return first
                    })
                else { return }
                _ = try? await api.send(.patch, "/v1/pools/p", #"{"templateId":"other"}"#)
            }
            let pinned = try await api.send(.patch, "/v1/pools/p", #"{"templateRevision":2}"#)
            #expect(pinned.status == 200 && pinned["data", "revision"] == .int(3), "both took place: \(pinned.text)")
            #expect(pinned["data", "templateId"]?.text == template && pinned["data", "templateRevision"] == .int(2))
        }
    }

    /// As in a create.
    @Test func whoNamesATemplateNeedsThePowersToUseIt() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            _ = try await api.send(.put, "/v1/secrets/s", #"{"value":"x"}"#)
            _ = try await api.template("plain")
            _ = try await api.template("secret", #""secrets":[{"name":"s","env":"S"}]"#)
            _ = try await api.pool("p", #""templateId":"plain","size":1"#)
            func asked(_ template: String, _ scopes: Set<Scope>) async throws -> [String] {
                let key = try await world.key(of: "default", Authority(role: .developer, scopes: scopes))
                let maker = API(client: api.client, key: key)
                let made = try await maker.pool(
                    "n\(String.randomLabel(length: 6))", #""templateId":"\#(template)","size":0"#)
                let changed = try await maker.send(.patch, "/v1/pools/p", #"{"templateId":"\#(template)"}"#)
                return [made, changed].map { "\($0.status) \($0["field"]?.text ?? "")" }
            }
            #expect(try await asked("plain", [.templatesWrite]) == ["403 templateId", "403 templateId"])
            #expect(try await asked("plain", [.templatesWrite, .templatesRead]) == ["200 ", "200 "])
            #expect(try await asked("secret", [.templatesWrite, .templatesRead]) == ["403 secrets", "403 secrets"])
            #expect(
                try await asked("secret", [.templatesWrite, .templatesRead, .secretsUse]) == ["200 ", "200 "])
            let key = try await world.key(of: "default", Authority(role: .developer, scopes: [.templatesWrite]))
            let resized = try await API(client: api.client, key: key).send(.patch, "/v1/pools/p", #"{"size":2}"#)
            #expect(resized.status == 200, "who names none uses none")
        }
    }

    // MARK: - Bounds

    @Test func aGroupHasOnlySoManyPoolsAndMembersAlsoWhenTheyRace() async throws {
        let world = world { $0.poolsPerGroup = 6 }
        try await world.withAPI { api async throws in
            _ = try await api.template("t")
            #expect(try await api.send(.put, "/v1/groups/default/quotas", #"{"poolMembers":10}"#).status == 200)
            let replies = try await withThrowingTaskGroup(of: Reply.self) { group in
                for n in 0..<12 {
                    group.addTask { try await api.pool("p\(n)", #""templateId":"t","min":0,"max":3"#) }
                }
                return try await group.reduce(into: [Reply]()) { $0.append($1) }
            }
            #expect(replies.count { $0.status == 200 } == 3)
            for reply in replies where reply.status != 200 {
                #expect(reply.status == 429 && reply["code"] == .string("quota_exceeded"), "\(reply.text)")
                #expect(reply["message"]?.text?.contains("poolMembers") == true)
            }
            let quotas = try await api.send(.get, "/v1/groups/default/quotas")
            #expect(quotas["data", "used"]?["poolMembers"] == .int(9), "\(quotas.text)")
            let name = try #require(try await api.send(.get, "/v1/pools").list.first?["name"]?.text)
            let more = try await api.send(.patch, "/v1/pools/\(name)", #"{"max":5}"#)
            #expect(more.status == 429, "\(more.text)")
            #expect(try await api.send(.patch, "/v1/pools/\(name)", #"{"max":4}"#).status == 200)
            #expect(try await api.send(.delete, "/v1/pools/\(name)").status == 200)
            for n in 0..<4 { #expect(try await api.pool("n\(n)", #""templateId":"t","size":1"#).status == 200) }
            let many = try await api.pool("many", #""templateId":"t","size":0"#)
            #expect(many.status == 429 && many["message"]?.text?.contains("6 pools") == true, "\(many.text)")
        }
    }

    @Test func aGroupWithPoolsStays() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            try await world.make(group: "tenant")
            let tenant = API(client: api.client, key: try await world.key(of: "tenant"))
            _ = try await tenant.template("t")
            _ = try await tenant.pool("p", #""templateId":"t","size":1"#)
            _ = try await tenant.send(.delete, "/v1/templates/t")
            #expect(try await tenant.send(.delete, "/v1/groups/tenant").status == 409)
            _ = try await tenant.send(.delete, "/v1/pools/p")
            #expect(try await tenant.send(.delete, "/v1/groups/tenant").status == 200)
        }
    }

    @Test func anotherGroupsPoolIsAbsent() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            try await world.make(group: "tenant")
            let tenant = API(client: api.client, key: try await world.key(of: "tenant"))
            _ = try await api.template("t")
            let id = try await api.pool("p", #""templateId":"t","size":1"#)["data", "poolId"]?.text ?? ""
            for path in [id, "p"] {
                for reply in [
                    try await tenant.send(.get, "/v1/pools/\(path)"),
                    try await tenant.send(.patch, "/v1/pools/\(path)", #"{"size":0}"#),
                    try await tenant.send(.delete, "/v1/pools/\(path)"),
                ] { #expect(reply.status == 404, "\(reply.text)") }
            }
            #expect(try await tenant.send(.get, "/v1/pools").list.isEmpty)
            let template = try #require(try await api.send(.get, "/v1/templates/t")["data", "templateId"]?.text)
            let reply = try await tenant.pool("q", #""templateId":"\#(template)","size":1"#)
            #expect(reply.status == 400 && reply["field"] == .string("templateId"), "nor is its template")
        }
    }

    @Test func eventsSayWhatHappened() async throws {
        try await world().withAPI { api async throws in
            let template = try await api.template("t")["data", "templateId"]?.text ?? ""
            _ = try await api.pool("p", #""templateId":"t","min":0,"max":2,"templateRevision":1"#)
            _ = try await api.send(.patch, "/v1/pools/p", #"{"size":1}"#)
            _ = try await api.send(.delete, "/v1/pools/p")
            let events = try await api.send(.get, "/v1/events").list.filter {
                $0["subject"]?.text?.hasPrefix("pool/") == true
            }
            #expect(Set(events.compactMap { $0["type"]?.text }) == ["PoolCreated", "PoolChanged", "PoolDeleted"])
            let made = events.first { $0["type"] == .string("PoolCreated") }?["data"]
            #expect(
                made
                    == .object([
                        "name": .string("p"), "templateId": .string(template), "templateRevision": .int(1),
                        "min": .int(0), "max": .int(2), "revision": .int(1),
                    ]))
        }
    }

    // MARK: - Its name in a path

    @Test func aNameInAPathIsDecodedOnce() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            _ = try await api.template("t1", #""image":"i:1""#)
            _ = try await api.pool("p1", #""templateId":"t1","size":1"#)
            for path in ["pools/p%31", "pools/%701", "templates/t%31", "templates/%74%31/revisions/%31"] {
                #expect(try await api.send(.get, "/v1/\(path)").status == 200, "\(path)")
            }
            for name in ["p%2531", "p%3", "p1%00", "p1%0A", "p%zz1", "%ff", "p%+1"] {
                #expect(try await api.send(.get, "/v1/pools/\(name)").status == 404, "\(name)")
            }
            #expect(try await api.send(.delete, "/v1/pools/p%31").status == 200)
            #expect(try await api.send(.get, "/v1/pools/p1").status == 404)
        }
    }

    // MARK: - How it stands

    /// Another instance, which has not read them yet, claims nothing of them.
    @Test func anInstanceThatHasNotReadAPoolSaysSo() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            _ = try await api.template("t")
            _ = try await api.pool("p", #""templateId":"t","size":1"#)
            world.runtime.fillPools()
            var ports = world.ports
            ports.runtime = InMemoryRuntime()
            let other = APIServer(
                ports: ports, settings: world.settings, startedAt: world.clock.now(), logger: Logger(label: "test"))
            try await other.publicApplication.test(.router) { client async throws in
                func status() async throws -> JSONValue? {
                    try await API(client: client, key: api.key).send(.get, "/v1/pools/p")["data", "status"]
                }
                #expect(try await status()?["health"] == .string("starting"))
                #expect(try await status()?["idle"] == .int(0))
                await other.poolKeeper.refresh()
                #expect(try await status()?["target"] == .int(1))
            }
        }
    }

    @Test func aPoolSaysWhyItHasNone() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            _ = try await api.template("t", #""image":"i:1""#)
            _ = try await api.pool("p", #""templateId":"t","size":2"#)
            world.runtime.fillPools()
            func status() async throws -> JSONValue? {
                await world.server.poolKeeper.refresh()
                return try await api.send(.get, "/v1/pools/p")["data", "status"]
            }
            _ = try await api.send(.patch, "/v1/pools/p", #"{"size":3}"#)
            world.runtime.set { $0.startFailure = RuntimeError(.unavailable, "/var/lib/secret-path is full") }
            let failing = try await status()
            #expect(failing?["health"] == .string("failing") && failing?["idle"] == .int(2))
            #expect(failing?["reason"]?.text?.contains("secret-path") == false, "no details of the machine")
            world.runtime.set { $0.startFailure = RuntimeError(.badImage, "there is no image i:1") }
            #expect(try await status()?["reason"]?.text == "there is no image i:1", "but of what is his own")
            world.runtime.set {
                $0.startFailure = RuntimeError(.imageOutOfReach, "i:1: its registry cannot be reached")
            }
            #expect(try await status()?["reason"]?.text == "i:1: its registry cannot be reached")
            _ = try await api.send(.patch, "/v1/pools/p", #"{"size":2}"#)
            #expect(try await status()?["health"] == .string("healthy"), "it has all that it shall have")
            world.runtime.set { $0.startFailure = nil }
            #expect(try await status()?["health"] == .string("healthy"))

            let disk = #"{"name":"t","filesystems":[{"name":"f","path":"/f"}]}"#
            _ = try await api.send(.put, "/v1/templates/t", disk)
            let blocked = try await status()
            #expect(blocked?["health"] == .string("blocked") && blocked?["target"] == .int(0), "\(blocked as Any)")
            #expect(blocked?["reason"]?.text?.contains("filesystems") == true)
            _ = try await api.send(.put, "/v1/templates/t", #"{"name":"t"}"#)
            #expect(try await status()?["target"] == .int(2), "it goes on when it can")
            _ = try await api.send(.delete, "/v1/templates/t")
            #expect(try await status()?["health"] == .string("blocked"))
            #expect(world.runtime.pools.isEmpty)
        }
    }
}

extension API {
    func pool(_ name: String, _ rest: String) async throws -> Reply {
        try await send(.post, "/v1/pools", #"{"name":"\#(name)",\#(rest)}"#)
    }
}
