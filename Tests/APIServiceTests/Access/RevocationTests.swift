import APIContract
import APIService
import Auth
import ComputeCore
import ComputeDomain
import ComputeRuntime
import EventSourcing
import Foundation
import HTTPServing
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import NIOHTTP1
import TestSupport
import Testing

/// Whoever loses what he had keeps nothing that he got with it.
struct RevocationTests {
    /// What somebody can get of a compute: its access token, a session token, a link that nobody has used yet.
    struct Loot: Sendable {
        let auth: AuthAPI
        let session: String
        let link: Reply

        init(of api: API) async throws {
            let made = try await api.create()
            auth = AuthAPI(api: api, id: made.sandboxID, token: made["data", "token"]?.text ?? "")
            session = try await auth.send(.post, "/auth/session_tokens", "{}")["token"]?.text ?? ""
            link = try await auth.send(.post, "/auth/magic-links", "{}")
            #expect(try await isGood() == [true, true] && link.status == 201)
        }

        func isGood() async throws -> [Bool] {
            var good: [Bool] = []
            for token in [auth.token, session] {
                let reply = try await auth.send(.get, "/auth/status", nil, token: token)
                good.append(reply["data", "authenticated"] == .bool(true))
            }
            return good
        }

        func expectNothing() async throws {
            #expect(try await isGood() == [false, false])
            #expect(try await auth.send(.post, "/auth/session_tokens", "{}").status == 401)
            #expect(try await auth.visit(link).status == 400, "nor does a link make a new one")
        }
    }

    static let maryBody = #"{"issuer":"https://i","subject":"mary","role":"admin"}"#

    /// Mary, an admin of the group default, with a key of hers.
    func withMary(_ test: @escaping @Sendable (Scene, _ id: String, API) async throws -> Void) async throws {
        try await Scene.run { scene async throws in
            let made = try await scene.owner.send(.post, "/v1/groups/default/members", Self.maryBody)
            let id = try #require(made["data", "memberId"]?.text)
            let key = try await scene.world.key(of: "default", Authority(role: .admin), member: id)
            try await test(scene, id, scene.api(key))
        }
    }

    @Test func aDemotedMemberKeepsNothingAndGetsWhatHeStillMay() async throws {
        try await withMary { scene, id, mary in
            let path = "/v1/groups/default/members/\(id)"
            let loot = try await Loot(of: mary)
            let bystander = try await Loot(of: scene.owner)
            #expect(try await scene.owner.send(.patch, path, #"{"role":"owner"}"#).status == 200)
            #expect(try await loot.isGood() == [true, true], "who rises keeps what he has")
            #expect(
                try await scene.owner.send(
                    .post, "/v1/groups/default/members",
                    Self.maryBody.replacing("mary", with: "john").replacing("admin", with: "owner")
                ).status == 200)
            for role in ["developer", "viewer"] {
                let loot = role == "developer" ? loot : try await Loot(of: mary)
                #expect(try await scene.owner.send(.patch, path, #"{"role":"\#(role)"}"#).status == 200)
                try await loot.expectNothing()
            }
            let looked = try await mary.send(.get, "/v1/sandboxes/\(loot.auth.id)")
            #expect(looked.status == 200 && looked["data", "token"] == nil, "a viewer gets no token")
            #expect(try await bystander.isGood() == [true, true])
        }
    }

    @Test func theFeedTellsWhoWasDemotedAndALookupKnowsWhoIsGood() async throws {
        try await withMary { scene, id, _ in
            let path = "/v1/groups/default/members/\(id)"
            for role in ["developer", "admin", "viewer"] {
                #expect(try await scene.owner.send(.patch, path, #"{"role":"\#(role)"}"#).status == 200)
            }
            try await scene.world.server.internalApplication.test(.router) { client async throws in
                let inside = API(client: client, key: "")
                func ended() async throws -> [String] {
                    let feed = try await inside.send(.get, "/internal/v1/events?wait=0", authenticated: false)
                    return try feed.text.split(separator: "\n").compactMap {
                        try JSONDecoder().decode(FeedLine.self, from: Data($0.utf8)).session
                    }.filter { $0.isRevoked && $0.computeId == nil }.map(\.sessionId.rawValue)
                }
                let origins = (0...2).map { Origin(member: id, demotions: $0).text }
                #expect(try await ended() == [origins[0], origins[1]])
                for (origin, status) in zip(origins, [404, 404, 200]) {
                    let reply = try await inside.send(.get, "/internal/v1/sessions/\(origin)", authenticated: false)
                    #expect(reply.status == status, "\(origin)")
                }
                #expect(try await scene.owner.send(.delete, path).status == 200)
                #expect(try await ended() == origins)
            }
        }
    }

    @Test func aRevokedSessionIsRememberedForAsLongAsItWouldHaveBeenGood() async throws {
        try await Scene.run { scene async throws in
            let made = try await scene.owner.send(.post, "/v1/sessions", #"{"expiresIn":600}"#)
            let id = made["data", "sessionId"]?.text ?? ""
            #expect(try await scene.owner.send(.delete, "/v1/sessions/\(id)").status == 200)
            try await scene.world.server.internalApplication.test(.router) { client async throws in
                let inside = API(client: client, key: "")
                let feed = try await inside.send(.get, "/internal/v1/events?wait=0", authenticated: false)
                let told = try feed.text.split(separator: "\n").compactMap {
                    try JSONDecoder().decode(FeedLine.self, from: Data($0.utf8)).session
                }
                #expect(told.map(\.sessionId.rawValue) == [id])
                #expect(told.first?.expiresAt == scene.world.clock.now() + .seconds(600))
            }
        }
    }

    @Test func aRemovedMemberKeepsNothing() async throws {
        try await withMary { scene, id, mary in
            let loot = try await Loot(of: mary)
            let session = try await mary.send(.post, "/v1/sessions")["data", "token"]?.text ?? ""
            let holder = scene.api(session)
            let second = try await Loot(of: holder)
            #expect(try await scene.owner.send(.delete, "/v1/groups/default/members/\(id)").status == 200)
            try await loot.expectNothing()
            try await second.expectNothing()
            for api in [mary, holder] { #expect(try await api.send(.get, "/v1/sandboxes").status == 401) }
        }
    }

    @Test func aRevokedKeyKeepsNothing() async throws {
        try await Scene.run { scene async throws in
            let made = try await scene.owner.send(.post, "/v1/keys", #"{"role":"developer"}"#)
            let api = scene.api(made["data", "key"]?.text ?? "")
            let loot = try await Loot(of: api)
            let session = scene.api(try await api.send(.post, "/v1/sessions")["data", "token"]?.text ?? "")
            let second = try await Loot(of: session)
            #expect(try await scene.owner.send(.delete, "/v1/keys/\(made["data", "keyId"]?.text ?? "")").status == 200)
            try await loot.expectNothing()
            try await second.expectNothing()
            #expect(try await session.send(.get, "/v1/sandboxes").status == 401)
        }
    }

    @Test func aSessionTokenEndsNoLaterThanTheKeyThatItCameOf() async throws {
        try await Scene.run { scene async throws in
            let made = try await scene.owner.send(.post, "/v1/keys", #"{"role":"developer","expiresIn":60}"#)
            let end = scene.world.clock.now() + .seconds(60)
            let loot = try await Loot(of: scene.api(made["data", "key"]?.text ?? ""))
            let visit = try await loot.auth.visit(loot.link)
            #expect([302, 303, 307].contains(visit.status), "\(visit.status)")
            let all = try await scene.world.ports.sessions.sessions(
                of: ComputeID(loot.auth.id)!, goodAt: scene.world.clock.now(), limit: 9)
            #expect(all.count == 2 && all.allSatisfy { $0.grant.expiresAt == end })
            let claims = try await scene.world.ports.tokens.verifier.verify(loot.session, now: scene.world.clock.now())
            #expect(claims.expiresAt == end)
        }
    }

    // MARK: - Groups

    @Test func aDeletedGroupLeavesNothingToComeInWith() async throws {
        let world = World(poolSize: 0, abilities: [.filesystems])
        try await world.withAPI { api async throws in
            let made = try await api.send(.post, "/v1/groups", #"{"name":"team"}"#)
            let path = "/v1/groups/\(made["data", "groupId"]?.text ?? "")"
            let owner = API(client: api.client, key: made["data", "key", "key"]?.text ?? "")
            #expect(try await owner.send(.post, "\(path)/members", Self.maryBody).status == 200)
            let other = try await owner.send(.post, "/v1/keys", #"{"role":"admin"}"#)["data", "key"]?.text ?? ""
            let session = try await owner.send(.post, "/v1/sessions")["data", "token"]?.text ?? ""
            let sandbox = try await owner.create().sandboxID
            let inUse = try await owner.send(.delete, path)
            #expect(inUse.status == 409 && inUse["code"] == .string("conflict"))
            #expect(try await owner.create().status == 200, "the refusal changed nothing")
            for id in [sandbox] + (try await Self.ids(owner)) {
                _ = try await owner.send(.delete, "/v1/sandboxes/\(id)")
            }
            let webhook = try await owner.send(.post, "/v1/webhooks", #"{"url":"https://hooks.example/x"}"#)
            #expect(try await owner.send(.delete, path).status == 409, "its webhooks count as well")
            _ = try await owner.send(.delete, "/v1/webhooks/\(webhook["data", "id"]?.text ?? "")")
            _ = try await owner.send(.put, "/v1/secrets/a", #"{"value":"x"}"#)
            #expect(try await owner.send(.delete, path).status == 409, "its secrets as well")
            #expect(try await owner.send(.put, "/v1/secrets/b", #"{"value":"x"}"#).status == 200, "nothing is closed")
            for name in ["a", "b"] { _ = try await owner.send(.delete, "/v1/secrets/\(name)") }
            let disk = try await owner.send(.post, "/v1/filesystems", #"{"name":"a","sizeMiB":64}"#)
            #expect(disk.status == 200, "\(disk.text)")
            #expect(try await owner.send(.delete, path).status == 409, "its filesystems as well")
            _ = try await owner.send(.delete, "/v1/filesystems/\(disk["data", "filesystemId"]?.text ?? "")")
            #expect(try await owner.send(.post, "/v1/templates", #"{"name":"a"}"#).status == 200)
            #expect(try await owner.send(.delete, path).status == 409, "its templates as well")
            _ = try await owner.send(.delete, "/v1/templates/a")
            #expect(try await api.send(.delete, path).status == 404, "not the maker's")
            #expect(try await API(client: api.client, key: session).send(.delete, path).status == 403)
            #expect(try await API(client: api.client, key: other).send(.delete, path).status == 403)
            #expect(try await owner.send(.delete, path).status == 200)
            for key in [owner.key, other, session] {
                let reply = try await API(client: api.client, key: key).send(.get, "/v1/sandboxes")
                #expect(reply.status == 401, "\(reply.text)")
            }
            let first = try await api.send(.delete, "/v1/groups/default")
            #expect(first.status == 409, "it runs the system")
            #expect(try await api.create().status == 200)
        }
    }

    private static func ids(_ api: API) async throws -> [String] {
        try await api.send(.get, "/v1/sandboxes").list.compactMap { value in
            value["sandboxId"]?.text
        }
    }

    @Test func whatIsUnderWayWhenAGroupIsDeletedComesTooLate() async throws {
        let world = World(poolSize: 2)
        try await world.withAPI { api async throws in
            let made = try await api.send(.post, "/v1/groups", #"{"name":"team"}"#)
            let group = GroupID(made["data", "groupId"]?.text ?? "")
            let caller = Caller(
                group: group, metadata: EventMetadata(actor: "key:test"), authority: Authority(role: .owner))
            try await world.server.groups.delete(group, for: caller)
            // Its credential was looked at before.
            await #expect(throws: Problem.self) {
                try await world.server.keyService.create(CreateKey(label: "", role: .viewer), for: caller)
            }
            await #expect(throws: Problem.self) {
                try await world.service.create(CreateSandbox(.object([:])), for: caller)
            }
            await #expect(throws: Problem.self) {
                try await world.server.secrets.write(
                    SecretBytes([1]), to: SecretName("a")!, isNew: true, for: caller)
            }
            let records = try await world.store.inner.records(.key, in: group, ownedBy: nil, after: nil, limit: 9)
            #expect(records.records.isEmpty)
        }
    }

    // MARK: - What was asked before

    @Test func whatIsAskedBeforeARevocationAndDoneAfterItChangesNothing() async throws {
        try await Scene.run { scene async throws in
            let server = scene.world.server
            let made = try await scene.owner.send(.post, "/v1/keys", #"{"role":"owner"}"#)
            let id = made["data", "keyId"]?.text ?? ""
            let caller = Caller(
                try await server.credentials.bearer(made["data", "key"]?.text ?? "", in: .unsaid),
                metadata: EventMetadata(actor: "key:\(id)"))
            let other = try await server.keyService.create(CreateKey(label: "", role: .viewer), for: caller)
            let hook = try WebhookOrder(.object(["url": .string("https://hooks.example")]), urlIsRequired: true)
            let webhook = try await server.webhooks.create(hook, for: caller)
            let secret = try #require(SecretName("kept"))
            _ = try await server.secrets.write(SecretBytes([1]), to: secret, isNew: true, for: caller)
            #expect(try await scene.owner.send(.delete, "/v1/keys/\(id)").status == 200)
            let mary = try AddMember(try JSONDocument.parse(Array(Self.maryBody.utf8)), issuer: nil)
            func expectRefusal(_ work: () async throws(Problem) -> Void) async {
                do {
                    try await work()
                    Issue.record("it was done")
                } catch { #expect(error.status == 401) }
            }
            await expectRefusal { () async throws(Problem) in
                _ = try await server.keyService.create(CreateKey(label: "", role: .viewer), for: caller)
            }
            await expectRefusal { () async throws(Problem) in
                _ = try await server.keyService.rotate(other.record.id.id, overlap: .zero, for: caller)
            }
            await expectRefusal { () async throws(Problem) in
                try await server.keyService.revoke(other.record.id.id, for: caller)
            }
            await expectRefusal { () async throws(Problem) in
                _ = try await server.groups.add(mary, to: .default, for: caller)
            }
            await expectRefusal { () async throws(Problem) in
                _ = try await server.webhooks.create(hook, for: caller)
            }
            await expectRefusal { () async throws(Problem) in
                try await server.webhooks.delete(webhook.id, for: caller)
            }
            await expectRefusal { () async throws(Problem) in
                _ = try await server.secrets.write(SecretBytes([2]), to: secret, isNew: false, for: caller)
            }
            await expectRefusal { () async throws(Problem) in try await server.secrets.delete(secret, for: caller) }
            #expect(try await scene.owner.send(.get, "/v1/keys/\(other.record.id.id)").status == 200)
            #expect(try await scene.owner.send(.get, "/v1/groups/default/members").list.isEmpty)
            #expect(try await scene.owner.send(.get, "/v1/webhooks").list.count == 1)
            #expect(try await scene.owner.send(.get, "/v1/secrets/kept")["data", "version"] == .int(1))
        }
    }

    @Test func aRequestThatIsHeldOpenKeepsNoPowerThatWasTaken() async throws {
        let world = World()
        _ = try await world.server.keys.bootstrap(preset: nil)
        try await world.server.publicApplication.test(.live) { client async throws in
            let key = try await world.key(of: "default")
            let hash = try #require(APIKey(key)).hash
            let id = try #require(try await world.store.inner.chain(keyHash: hash)?.chain.first?.id.id)
            let port = try #require(client.port)
            let held = try await HTTPClientConnection.connect(
                to: .tcp(host: "127.0.0.1", port: port), timeout: .seconds(30))
            let headers: HTTPHeaders = ["Host": "api", "X-ComputeSDK-API-Key": key, "Content-Length": "2"]
            try await held.sendHead(
                HTTPRequestHead(version: .http1_1, method: .POST, uri: "/v1/sandboxes", headers: headers))
            try await held.sendBody(ByteBuffer(string: "{"))
            // As long as it takes to be seen as held.
            try await Task.sleep(for: .milliseconds(500))
            try await world.server.keyService.revoke(
                id,
                for: Caller(group: .default, metadata: EventMetadata(actor: "test"), authority: Authority(role: .owner))
            )
            try await held.sendBody(ByteBuffer(string: "}"))
            try await held.finish()
            #expect(try await held.receiveHead().status == .unauthorized)
            await held.close()
            #expect(try await world.livingCount() == 0)
        }
    }

    // MARK: - Answers that go on

    @Test func whoMayStayIsAskedOfTheSameThingsAsWhoMayComeIn() async throws {
        try await withMary { scene, id, mary in
            let credentials = scene.world.server.credentials
            let path = "/v1/groups/default/members/\(id)"
            func caller(_ api: API) async throws -> Caller {
                Caller(
                    try await credentials.bearer(api.key, in: .unsaid), metadata: EventMetadata(actor: "test"))
            }
            func stays(_ caller: Caller, on method: String = "GET", _ path: String = "/v1/events") async throws -> Bool
            {
                try await credentials.mayStay(caller, on: method, path)
            }
            let (owner, hers) = (try await caller(scene.owner), try await caller(mary))
            #expect(try await stays(owner))
            #expect(try await stays(hers))
            #expect(try await stays(hers, "/v1/nothing") == false)
            #expect(try await stays(hers, on: "PATCH", "/v1/groups/{group}") == false)
            #expect(try await stays(scene.world.caller) == false, "no credential")
            // A demotion ends what was open, whatever she may read still.
            #expect(try await scene.owner.send(.patch, path, #"{"role":"viewer"}"#).status == 200)
            #expect(try await stays(hers) == false)
            #expect(try await stays(try await caller(mary)), "she comes in again")
            let again = try await caller(mary)
            #expect(try await scene.owner.send(.delete, path).status == 200)
            #expect(try await stays(again) == false)
            // A key's time, its secret, and its end.
            let made = try await scene.owner.send(.post, "/v1/keys", #"{"role":"viewer","expiresIn":3600}"#)
            let key = scene.api(made["data", "key"]?.text ?? "")
            let old = try await caller(key)
            let rotated = try await scene.owner.send(
                .post, "/v1/keys/\(made["data", "keyId"]?.text ?? "")/rotate", #"{"overlap":60}"#)
            let new = try await caller(scene.api(rotated["data", "key"]?.text ?? ""))
            #expect(try await stays(old))
            #expect(try await stays(new))
            scene.world.clock.advance(by: .seconds(60))
            #expect(try await stays(old) == false)
            #expect(try await stays(new))
            scene.world.clock.advance(by: .seconds(3600))
            #expect(try await stays(new) == false)
            #expect(try await stays(owner))
        }
    }
}
