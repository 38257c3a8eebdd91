import APIService
import Auth
import ComputeCore
import ComputeDomain
import Crypto
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import TestSupport
import Testing

struct APISessionTests {
    @Test func aKeyBuysASessionThatStandsForItWithLess() async throws {
        try await Scene.run { scene async throws in
            let made = try await scene.owner.send(
                .post, "/v1/sessions", #"{"role":"developer","scopes":["sandboxes:read"],"expiresIn":600}"#)
            #expect(made.status == 200)
            let now = scene.world.clock.now()
            #expect(made["data", "expiresAt"] == .string((now + .seconds(600)).rfc3339))
            let (id, token) = (made["data", "sessionId"]?.text ?? "", made["data", "token"]?.text ?? "")
            let claims = try await scene.world.ports.tokens.verifier.verifySession(token, now: now)
            #expect(claims.sessionID == id && claims.group == .default && claims.role == "developer")
            #expect(claims.scopes == ["sandboxes:read"])
            let session = scene.api(token)
            #expect(try await session.send(.get, "/v1/sandboxes").status == 200)
            let bearer = try await scene.api("").send(
                .get, "/v1/sandboxes", headers: [.authorization: "Bearer \(token)"], authenticated: false)
            #expect(bearer.status == 200)
            #expect(try await session.create().status == 403)
            // It sees and ends itself, and nobody else's.
            let other = try await scene.owner.send(.post, "/v1/sessions")["data", "sessionId"]?.text ?? ""
            #expect(try await session.send(.get, "/v1/sessions").list.count == 1)
            #expect(try await scene.owner.send(.get, "/v1/sessions").list.count == 2)
            #expect(try await session.send(.get, "/v1/sessions/\(other)").status == 404)
            #expect(try await session.send(.delete, "/v1/sessions/\(other)").status == 404)
            #expect(try await session.send(.delete, "/v1/sessions/\(id)").status == 200)
            #expect(try await session.send(.get, "/v1/sandboxes").status == 401, "at once")
            #expect(try await scene.owner.send(.get, "/v1/sessions/\(id)").status == 404)
        }
    }

    @Test func aSessionIsOverWithItsTimeItsKeyAndTheKeysMember() async throws {
        try await Scene.run { scene async throws in
            func session(_ key: String) async throws -> API {
                scene.api(try await scene.api(key).send(.post, "/v1/sessions")["data", "token"]?.text ?? "")
            }
            func status(_ api: API) async throws -> Int { try await api.send(.get, "/v1/sandboxes").status }
            // Its time.
            let short = try await session(scene.owner.key)
            #expect(try await status(short) == 200)
            scene.world.clock.advance(by: .seconds(3600))
            #expect(try await status(short) == 401)
            // Its key.
            let made = try await scene.owner.send(.post, "/v1/keys", #"{"role":"developer"}"#)
            let ofKey = try await session(made["data", "key"]?.text ?? "")
            #expect(try await status(ofKey) == 200)
            _ = try await scene.owner.send(.delete, "/v1/keys/\(made["data", "keyId"]?.text ?? "")")
            #expect(try await status(ofKey) == 401)
            // The member whose key it is: what he may, then that he is one.
            let base = "/v1/groups/default/members"
            let member =
                try await scene.owner.send(
                    .post, base, #"{"issuer":"i","subject":"mary","role":"developer"}"#)["data", "memberId"]?.text ?? ""
            let key = try await scene.world.key(of: "default", Authority(role: .admin), member: member)
            let ofMember = try await session(key)
            #expect(try await scene.api(key).send(.get, "/v1/keys").status == 403, "no more than its member")
            #expect(try await ofMember.create().status == 200)
            _ = try await scene.owner.send(.patch, "\(base)/\(member)", #"{"role":"viewer"}"#)
            #expect(try await ofMember.create().status == 403)
            _ = try await scene.owner.send(.delete, "\(base)/\(member)")
            #expect(try await status(ofMember) == 401)
            #expect(try await status(scene.api(key)) == 401)
        }
    }

    @Test func aSessionBuysNothingThatOutlivesIt() async throws {
        try await Scene.run { scene async throws in
            let made = try await scene.owner.send(.post, "/v1/sessions", #"{"expiresIn":60}"#)
            let token = try await scene.api(made["data", "token"]?.text ?? "").create()["data", "token"]?.text ?? ""
            let now = scene.world.clock.now()
            let access = try await scene.world.ports.tokens.verifier.verify(token, now: now)
            #expect(access.expiresAt == now + .seconds(60))
            #expect(access.origins.first == made["data", "sessionId"]?.text && access.origins.count == 2)
            let key = scene.api(
                try await scene.world.key(of: "default", Authority(role: .owner, expiresAt: now + .seconds(90))))
            let cut = try await key.send(.post, "/v1/sessions", #"{"expiresIn":86400}"#)
            #expect(cut["data", "expiresAt"] == .string((now + .seconds(90)).rfc3339), "cut to the key's time")
            let viewer = scene.api(try await scene.world.key(of: "default", Authority(role: .viewer)))
            let more = try await viewer.send(.post, "/v1/sessions", #"{"role":"owner"}"#)
            #expect(more.status == 403 && more["field"] == .string("role"))
        }
    }

    @Test func tokensOfOneKindAreNeverTakenForAnother() async throws {
        try await Scene.run { scene async throws in
            let sandbox = try await scene.owner.create()
            let (access, id) = (sandbox["data", "token"]?.text ?? "", sandbox.sandboxID)
            #expect(try await scene.api(access).send(.get, "/v1/sandboxes").status == 401)
            let session = try await scene.owner.send(.post, "/v1/sessions")["data", "token"]?.text ?? ""
            let reply = try await scene.api("").send(
                .get, "/s/\(id)/auth/session_tokens", headers: [.authorization: "Bearer \(session)"],
                authenticated: false)
            #expect(reply.status == 401)
            // Signed by somebody else; of a group that the record does not have.
            let now = scene.world.clock.now()
            func forged(_ signer: TokenSigner, group: GroupID) async throws -> String {
                let record = try await scene.owner.send(.get, "/v1/sessions").list.first
                guard case .object(let fields)? = record else { return "" }
                return try await signer.sign(
                    APISessionToken(
                        sessionID: fields["sessionId"]?.text ?? "", subject: "key:x", group: group, role: "owner",
                        scopes: nil, issuedAt: now, expiresAt: now + .seconds(60)))
            }
            let own = scene.world.ports.tokens
            let good = try await forged(own, group: .default)
            #expect(try await scene.api(good).send(.get, "/v1/sandboxes").status == 200, "the forger's hand is good")
            for token in [
                try await forged(TokenSigner(Curve25519.Signing.PrivateKey()), group: .default),
                try await forged(own, group: GroupID("tenant")),
            ] { #expect(try await scene.api(token).send(.get, "/v1/sandboxes").status == 401) }
        }
    }

    @Test func aRevokedKeyEndsTheTokensThatCameOfItAndTheGatewayHearsOfIt() async throws {
        try await Scene.run { scene async throws in
            let made = try await scene.owner.send(.post, "/v1/keys", #"{"role":"developer"}"#)
            let id = made["data", "keyId"]?.text ?? ""
            let sandbox = try await scene.api(made["data", "key"]?.text ?? "").create()
            let auth = "/s/\(sandbox.sandboxID)/auth/session_tokens"
            let headers: HTTPFields = [.authorization: "Bearer \(sandbox["data", "token"]?.text ?? "")"]
            let nobody = scene.api("")
            let session = try await nobody.send(.post, auth, "{}", headers: headers, authenticated: false)
            #expect(session.status == 201)
            let delegated = try await scene.world.ports.tokens.verifier.verify(
                session["token"]?.text ?? "", now: scene.world.clock.now())
            #expect(delegated.origins == [id], "what is handed on ends with it, too")
            let link = try await nobody.send(
                .post, "/s/\(sandbox.sandboxID)/auth/magic-links", "{}", headers: headers, authenticated: false)
            let secret = link["data", "magic_url"]?.text?.split(separator: "=").last ?? ""
            let visit = try await nobody.send(
                .get, "/s/\(sandbox.sandboxID)/auth/magic?token=\(secret)", authenticated: false)
            let linked = visit.headers[.location]?.split(separator: "=").last ?? ""
            let visitor = try await scene.world.ports.tokens.verifier.verify(
                String(linked), now: scene.world.clock.now())
            #expect(visitor.origins == [id], "so does what a link made of it")
            _ = try await scene.owner.send(.delete, "/v1/keys/\(id)")
            #expect(try await nobody.send(.get, auth, headers: headers, authenticated: false).status == 401)
            try await scene.world.server.internalApplication.test(.router) { client async throws in
                let inside = API(client: client, key: "")
                let feed = try await inside.send(.get, "/internal/v1/events?wait=0", authenticated: false)
                let line = feed.text.split(separator: "\n").first { $0.contains("APIKeyRevoked") } ?? ""
                #expect(line.contains("\"sessionId\":\"\(id)\"") && line.contains("\"isRevoked\":true"), "\(line)")
                #expect(
                    try await inside.send(.get, "/internal/v1/sessions/\(id)", authenticated: false).status == 404)
            }
        }
    }

    @Test(arguments: [
        (#"{"expiresIn":59}"#, "expiresIn"), (#"{"expiresIn":86401}"#, "expiresIn"), (#"{"role":"x"}"#, "role"),
        (#"{"scopes":[null]}"#, "scopes"), (#"{"description":1}"#, "description"),
    ]) func aBadSessionIsA400ThatNamesTheField(_ body: String, _ field: String) async throws {
        try await World().withAPI { api async throws in
            let reply = try await api.send(.post, "/v1/sessions", body)
            #expect(reply.status == 400 && reply["field"] == .string(field), "\(reply.text)")
        }
    }

    @Test func aKeyHasOnlySoManySessions() async throws {
        let world = World { $0.sessionsPerCredential = 2 }
        try await world.withAPI { api async throws in
            for _ in 0..<2 { #expect(try await api.send(.post, "/v1/sessions").status == 200) }
            #expect(try await api.send(.post, "/v1/sessions").status == 429)
            world.clock.advance(by: .seconds(3600))
            #expect(try await api.send(.post, "/v1/sessions").status == 200, "those that are over do not count")
        }
    }
}
