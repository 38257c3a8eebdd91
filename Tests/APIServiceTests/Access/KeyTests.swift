import APIService
import Auth
import ComputeCore
import ComputeDomain
import EventSourcing
import HTTPTypes
import TestSupport
import Testing

struct KeyTests {
    @Test func aKeyIsMadeUsedListedAndRevokedAtOnce() async throws {
        try await Scene.run { scene async throws in
            let made = try await scene.owner.send(
                .post, "/v1/keys",
                #"{"label":"ci","role":"developer","scopes":["sandboxes:read","keys:read"],"expiresIn":3600}"#)
            #expect(made.status == 200)
            let (id, key) = (try #require(made["data", "keyId"]?.text), try #require(made["data", "key"]?.text))
            #expect(key.hasPrefix(made["data", "prefix"]?.text ?? "?") && key.utf8.count == 45)
            #expect(
                made["data", "expiresAt"] == .string((scene.world.clock.now() + .seconds(3600)).rfc3339))
            let got = try await scene.owner.send(.get, "/v1/keys/\(id)")
            #expect(got["data", "label"] == .string("ci") && got["data", "role"] == .string("developer"))
            #expect(got["data", "scopes"] == .array([.string("keys:read"), .string("sandboxes:read")]))
            #expect(got["data", "key"] == nil && !got.text.contains(key), "shown once")
            #expect(try await scene.owner.send(.get, "/v1/keys").list.count == 2)
            #expect(try await scene.api(key).send(.get, "/v1/sandboxes").status == 200)
            #expect(try await scene.api(key).create().status == 403, "not its scope")
            await scene.world.server.uses.write()
            let used = try await scene.owner.send(.get, "/v1/keys/\(id)")
            #expect(used["data", "lastUsedAt"] == .string(scene.world.clock.now().rfc3339))
            #expect(try await scene.owner.send(.delete, "/v1/keys/\(id)").status == 200)
            #expect(try await scene.api(key).send(.get, "/v1/sandboxes").status == 401)
            #expect(try await scene.owner.send(.get, "/v1/keys/\(id)").status == 404)
            #expect(try await scene.owner.send(.delete, "/v1/keys/\(id)").status == 404)
        }
    }

    @Test func aKeyIsOverWithItsTime() async throws {
        try await Scene.run { scene async throws in
            let made = try await scene.owner.send(.post, "/v1/keys", #"{"role":"developer","expiresIn":60}"#)
            let api = scene.api(made["data", "key"]?.text ?? "")
            let token = try await api.create()["data", "token"]?.text ?? ""
            let claims = try await scene.world.ports.tokens.verifier.verify(token, now: scene.world.clock.now())
            #expect(claims.expiresAt == scene.world.clock.now() + .seconds(60), "nor does what came of it live longer")
            #expect(claims.origins == [made["data", "keyId"]?.text])
            scene.world.clock.advance(by: .seconds(59))
            #expect(try await api.send(.get, "/v1/sandboxes").status == 200)
            scene.world.clock.advance(by: .seconds(1))
            #expect(try await api.send(.get, "/v1/sandboxes").status == 401)
        }
    }

    @Test func aRotatedKeysSecretsOverlapAndThenOnlyTheNewOneIsGood() async throws {
        try await Scene.run { scene async throws in
            let made = try await scene.owner.send(.post, "/v1/keys", #"{"role":"developer"}"#)
            let id = made["data", "keyId"]?.text ?? ""
            func rotate(_ body: String) async throws -> String {
                let reply = try await scene.owner.send(.post, "/v1/keys/\(id)/rotate", body)
                #expect(reply.status == 200 && reply["data", "keyId"] == .string(id))
                return reply["data", "key"]?.text ?? ""
            }
            func good(_ keys: String...) async throws -> [Bool] {
                var good: [Bool] = []
                for key in keys { good.append(try await scene.api(key).send(.get, "/v1/sandboxes").status == 200) }
                return good
            }
            let first = made["data", "key"]?.text ?? ""
            let second = try await rotate(#"{"overlap":60}"#)
            #expect(try await good(first, second) == [true, true])
            scene.world.clock.advance(by: .seconds(60))
            #expect(try await good(first, second) == [false, true])
            let third = try await rotate(#"{"overlap":600}"#)
            let fourth = try await rotate(#"{"overlap":600}"#)
            #expect(try await good(second) == [false], "only the one before overlaps")
            #expect(try await good(third, fourth) == [true, true])
            let fifth = try await rotate(#"{"overlap":0}"#)
            #expect(try await good(third, fourth, fifth) == [false, false, true], "a leaked key")
            #expect(try await scene.owner.send(.delete, "/v1/keys/\(id)").status == 200)
            #expect(try await good(fifth) == [false])
        }
    }

    @Test func nobodyHandsOutMoreThanHeHas() async throws {
        try await Scene.run { scene async throws in
            let powers = Authority(
                role: .admin, scopes: [.keysWrite, .keysRead, .membersWrite, .groupsRead],
                expiresAt: scene.world.clock.now() + .seconds(600))
            let admin = scene.api(try await scene.world.key(of: "default", powers))
            for (body, field) in [
                (#"{"role":"owner"}"#, "role"), (#"{"role":"admin","scopes":["sandboxes:write"]}"#, "scopes"),
                (#"{"role":"viewer","expiresIn":601}"#, "expiresIn"),
            ] {
                let reply = try await admin.send(.post, "/v1/keys", body)
                #expect(reply.status == 403 && reply["field"] == .string(field), "\(body): \(reply.text)")
            }
            // What is not said is as with his own, not more.
            let made = try await admin.send(.post, "/v1/keys", #"{"role":"admin"}"#)
            #expect(made["data", "scopes"] != nil && made["data", "expiresAt"] != nil)
            // Nor by way of a key that has more.
            let strong =
                try await scene.owner.send(.post, "/v1/keys", #"{"role":"owner"}"#)["data", "keyId"]?.text ?? ""
            #expect(try await admin.send(.post, "/v1/keys/\(strong)/rotate").status == 403)
            #expect(try await admin.send(.delete, "/v1/keys/\(strong)").status == 403)
            #expect(
                try await admin.send(
                    .post, "/v1/groups/default/members", #"{"issuer":"i","subject":"s","role":"owner"}"#
                ).status == 403)
        }
    }

    @Test func nobodyGetsTheSecretOfAnothersKey() async throws {
        try await Scene.run { scene async throws in
            let body = #"{"issuer":"https://i","subject":"mary","role":"admin"}"#
            let mary = try await scene.owner.send(.post, "/v1/groups/default/members", body)["data", "memberId"]?.text
            let hers = scene.api(
                try await scene.world.key(of: "default", Authority(role: .admin), member: mary))
            let made = try await hers.send(.post, "/v1/keys", #"{"role":"viewer"}"#)
            let path = "/v1/keys/\(made["data", "keyId"]?.text ?? "")"
            #expect(try await scene.owner.send(.post, "\(path)/rotate").status == 403)
            #expect(try await hers.send(.post, "\(path)/rotate").status == 200)
            #expect(try await scene.owner.send(.delete, path).status == 200)
        }
    }

    @Test(arguments: [
        (#"{}"#, "role"), (#"{"role":"god"}"#, "role"), (#"{"role":1}"#, "role"),
        (#"{"role":"viewer","scopes":["x"]}"#, "scopes"), (#"{"role":"viewer","scopes":"x"}"#, "scopes"),
        (#"{"role":"viewer","scopes":[1]}"#, "scopes"), (#"{"role":"viewer","expiresIn":59}"#, "expiresIn"),
        (#"{"role":"viewer","expiresIn":1e99}"#, "expiresIn"), (#"{"role":"viewer","label":"\n"}"#, "label"),
        (#"{"role":"viewer","label":[]}"#, "label"),
    ]) func aBadKeyIsA400ThatNamesTheField(_ body: String, _ field: String) async throws {
        try await Scene.run { scene async throws in
            let reply = try await scene.owner.send(.post, "/v1/keys", body)
            #expect(reply.status == 400 && reply["field"] == .string(field), "\(reply.text)")
        }
    }

    @Test func aGroupHasOnlySoManyKeys() async throws {
        let world = World { $0.keysPerGroup = 3 }
        try await world.withAPI { api async throws in
            var id = ""
            for _ in 0..<2 {
                let made = try await api.send(.post, "/v1/keys", #"{"role":"viewer"}"#)
                #expect(made.status == 200)
                id = made["data", "keyId"]?.text ?? ""
            }
            let full = try await api.send(.post, "/v1/keys", #"{"role":"viewer"}"#)
            #expect(full.status == 429 && full.headers[HTTPField.Name("Retry-After")!] == "60")
            #expect(try await api.send(.delete, "/v1/keys/\(id)").status == 200)
            #expect(try await api.send(.post, "/v1/keys", #"{"role":"viewer"}"#).status == 200)
        }
    }

    @Test func everyMutationSaysWhoDidItInWhichRequestFromWhere() async throws {
        try await Scene.run { scene async throws in
            let name = HTTPField.Name("X-Request-Id")!
            let headers: HTTPFields = [name: "my-request", HTTPField.Name("X-Forwarded-For")!: "203.0.113.9"]
            let id =
                try await scene.owner.send(.post, "/v1/keys", #"{"role":"viewer"}"#, headers: headers)[
                    "data", "keyId"]?.text ?? ""
            _ = try await scene.owner.send(.post, "/v1/keys/\(id)/rotate", headers: headers)
            _ = try await scene.owner.send(.delete, "/v1/keys/\(id)", headers: headers)
            let session = try await scene.owner.send(.post, "/v1/sessions", headers: headers)
            _ = try await scene.owner.send(
                .delete, "/v1/sessions/\(session["data", "sessionId"]?.text ?? "")", headers: headers)
            _ = try await scene.owner.send(
                .post, "/v1/groups/default/members", #"{"issuer":"i","subject":"s","role":"viewer"}"#, headers: headers)
            _ = try await scene.owner.send(.patch, "/v1/groups/default", #"{"name":"n"}"#, headers: headers)
            let log = try await scene.world.store.events(after: nil, matching: EventFilter(), limit: 1000).events
            let mine = log.filter { $0.metadata.requestID == "my-request" }
            #expect(
                mine.map(\.type) == [
                    "APIKeyCreated", "APIKeyRotated", "APIKeyRevoked", "SessionCreated", "SessionRevoked",
                    "MemberAdded", "GroupRenamed",
                ])
            for event in mine {
                #expect(event.metadata.actor.hasPrefix("key:") && event.metadata.source == "203.0.113.9")
            }
        }
    }

    @Test func secretsAreNowhereButInTheAnswerThatMadeThem() async throws {
        try await Scene.run { scene async throws in
            let made = try await scene.owner.send(.post, "/v1/keys", #"{"role":"owner"}"#)
            let key = made["data", "key"]?.text ?? ""
            let rotated = try await scene.owner.send(.post, "/v1/keys/\(made["data", "keyId"]?.text ?? "")/rotate")
            let session = try await scene.api(key).send(.post, "/v1/sessions")
            _ = try await scene.api(session["data", "token"]?.text ?? "").send(.get, "/v1/sandboxes")
            let secrets = [key, rotated["data", "key"]?.text ?? "", session["data", "token"]?.text ?? ""]
            #expect(secrets.allSatisfy { $0.count > 20 })
            let hashes = secrets.compactMap { APIKey($0)?.hash }
            let log = try await scene.world.store.events(after: nil, matching: EventFilter(), limit: 1000).events
            let records = try await scene.world.store.inner.records(
                .key, in: nil, ownedBy: nil, after: nil, limit: 1000)
            let places = log.map { "\($0)" } + scene.world.logs.all + records.records.map { "\($0)" }
            for secret in secrets + hashes {
                #expect(!places.contains { $0.contains(secret.dropFirst(5)) }, "a secret is in a log or an event")
            }
        }
    }
}
