import APIService
import Auth
import ComputeCore
import ComputeDomain
import HTTPTypes
import JWTKit
import TestSupport
import Testing

struct SignInTests {
    /// A world that trusts an issuer, of which mary is a member of the group default.
    func withMary(
        _ role: Role = .developer, _ test: @escaping @Sendable (World, API, TestIssuer) async throws -> Void
    ) async throws {
        let issuer = TestIssuer()
        let world = World(poolSize: 6, issuer: issuer)
        try await world.withAPI { api async throws in
            let body = #"{"subject":"mary","role":"\#(role.rawValue)"}"#
            #expect(try await api.send(.post, "/v1/groups/default/members", body).status == 200)
            try await test(world, api, issuer)
        }
    }

    @Test func aMemberSignsInWithATokenOfTheIssuerAndMayWhatHisRoleMay() async throws {
        try await withMary { world, api, issuer in
            let mary = world.signedIn(api, try await issuer.token(world.claims()))
            let made = try await mary("POST", "/v1/sandboxes", nil)
            #expect(made.status == 200, "\(made.text)")
            #expect(try await mary("POST", "/v1/keys", #"{"role":"viewer"}"#).status == 403)
            let events = try await api.send(.get, "/v1/events?sandboxId=\(made.sandboxID)")
            #expect(events.text.contains(#""actor":"member:"#))
            let session = try await mary("POST", "/v1/sessions", nil)
            #expect(session.status == 200)
            #expect(
                session["data", "expiresAt"] == .string((world.clock.now() + .seconds(300)).rfc3339),
                "no longer than the sign-in")
            let payload = made["data", "token"]?.text?.split(separator: ".").dropFirst().first ?? ""
            let claims = try JSONDocument.parse([UInt8](base64URL: payload) ?? [])
            guard case .object(let fields) = claims, case .int(let end)? = fields["exp"] else {
                Issue.record("\(claims)")
                return
            }
            #expect(end == world.clock.now().milliseconds / 1000 + 300, "nor is what it opens")
            let stranger = world.signedIn(api, try await issuer.token(world.claims(sub: "john")))
            #expect(try await stranger("GET", "/v1/sandboxes", nil).status == 403)
            // Out at once, with what came of it.
            let id = try await api.send(.get, "/v1/groups/default/members").list.compactMap { value -> String? in
                if case .object(let fields) = value { fields["memberId"]?.text } else { nil }
            }[0]
            #expect(try await api.send(.delete, "/v1/groups/default/members/\(id)").status == 200)
            #expect(try await mary("GET", "/v1/sandboxes", nil).status == 403)
            let holder = API(client: api.client, key: session["data", "token"]?.text ?? "")
            #expect(try await holder.send(.get, "/v1/sandboxes").status == 401)
        }
    }

    @Test func whoMeansAnotherGroupThanDefaultSaysSo() async throws {
        try await withMary { world, api, issuer in
            let tenant = try await api.send(.post, "/v1/groups", #"{"name":"tenant"}"#)
            let (id, key) = (tenant["data", "groupId"]?.text ?? "", tenant["data", "key", "key"]?.text ?? "")
            let inside = API(client: api.client, key: key)
            #expect(
                try await inside.send(
                    .post, "/v1/groups/\(id)/members", #"{"subject":"mary","role":"viewer"}"#
                ).status == 200)
            let token = try await issuer.token(world.claims())
            let mary = world.signedIn(api, token)
            // Whoever made her a member there gets nothing that she makes without naming it.
            #expect(try await mary("POST", "/v1/sandboxes", nil).status == 200)
            #expect(try await inside.send(.get, "/v1/sandboxes").list.isEmpty)
            #expect(try await mary("GET", "/v1/groups", nil).list.count == 2, "about all of them")
            #expect(try await mary("GET", "/v1/groups/\(id)", nil).status == 200, "the path says it")
            #expect(try await world.signedIn(api, token, group: "default")("POST", "/v1/sandboxes", nil).status == 200)
            #expect(try await world.signedIn(api, token, group: id)("POST", "/v1/sandboxes", nil).status == 403)
            #expect(try await world.signedIn(api, token, group: id)("GET", "/v1/sandboxes", nil).status == 200)
            #expect(
                try await world.signedIn(api, token, group: "gunknown0000")("GET", "/v1/sandboxes", nil).status == 404)
            let members = try await api.send(.get, "/v1/groups/default/members").list
            guard case .object(let fields)? = members.first else { return }
            let path = "/v1/groups/default/members/\(fields["memberId"]?.text ?? "")"
            #expect(try await api.send(.delete, path).status == 200)
            let unsaid = try await mary("POST", "/v1/sandboxes", nil)
            #expect(unsaid.status == 400 && unsaid["field"] == .string("X-ComputeSDK-Group"), "also with only one")
        }
    }

    @Test func tokensThatAreNotForUsOrNotOfTheIssuerAreRefused() async throws {
        try await withMary { world, api, issuer in
            let good = world.claims()
            var wrongIssuer = good, wrongAudience = good, noAudience = good, over = good, early = good, nobody = good
            wrongIssuer.iss = "https://id.example/"
            wrongAudience.aud = ["other"]
            noAudience.aud = nil
            over.exp = Double(world.clock.now().milliseconds) / 1000
            early.nbf = Double(world.clock.now().milliseconds) / 1000 + 31
            nobody.sub = nil
            var tokens: [String] = []
            for claims in [wrongIssuer, wrongAudience, noAudience, over, early, nobody] {
                tokens.append(try await issuer.token(claims))
            }
            tokens.append(try await issuer.token(good, key: ES256PrivateKey()))
            tokens.append(try await issuer.token(good, kid: "unknown"))
            tokens.append(try await issuer.token(good, kid: "odd"))
            // The classic ones: no algorithm, and a secret that everybody knows.
            let parts = try await issuer.token(good).split(separator: ".").map(String.init)
            let none = Array(#"{"alg":"none","kid":"k1"}"#.utf8).base64URL
            tokens += ["\(none).\(parts[1]).", "\(none).\(parts[1]).\(parts[2])"]
            tokens.append(
                try await JWTKeyCollection().add(hmac: "a secret that everybody could know", digestAlgorithm: .sha256)
                    .sign(good, header: ["kid": .string("k1")]))
            tokens.append("\(parts[0]).\(parts[1])")
            tokens.append("\(parts[0])..\(parts[2])")
            for (index, token) in tokens.enumerated() {
                let reply = try await world.signedIn(api, token)("GET", "/v1/sandboxes", nil)
                #expect(reply.status == 401, "\(index): \(reply.text)")
            }
            #expect(
                try await world.signedIn(api, try await issuer.token(good))("GET", "/v1/sandboxes", nil).status == 200)
            #expect(issuer.fetches < 10, "invented key ids do not make it fetch every time")
        }
    }

    @Test func theIssuersKeysAreFollowedAndItMayBeDownForAWhile() async throws {
        try await withMary { world, api, issuer in
            func status(_ token: String) async throws -> Int {
                try await world.signedIn(api, token)("GET", "/v1/sandboxes", nil).status
            }
            issuer.set(isDown: true)
            let reply = try await world.signedIn(api, try await issuer.token(world.claims()))(
                "GET", "/v1/sandboxes", nil)
            #expect(reply.status == 503 && reply.headers[HTTPField.Name("Retry-After")!] == "10")
            issuer.set(isDown: false)
            world.clock.advance(by: .seconds(10))
            #expect(try await status(try await issuer.token(world.claims())) == 200)
            let old = try await issuer.token(world.claims(life: 1e6))
            issuer.rotate("k2")
            world.clock.advance(by: .seconds(10))
            #expect(try await status(try await issuer.token(world.claims())) == 200, "a new key is found")
            #expect(try await status(old) == 401, "and the old one is good no longer")
            issuer.set(isDown: true)
            world.clock.advance(by: .seconds(3600))
            #expect(try await status(try await issuer.token(world.claims())) == 200, "from what is known")
            world.clock.advance(by: .seconds(86_400))
            #expect(try await status(try await issuer.token(world.claims())) == 503, "not for ever")
        }
    }

    @Test(arguments: [
        "{}", "[]", "x", #"{"issuer":"https://other.example","jwks_uri":"https://id.example/keys"}"#,
        #"{"issuer":"https://id.example","jwks_uri":"http://id.example/keys"}"#,
        #"{"issuer":"https://id.example","jwks_uri":"file:///etc/passwd"}"#,
        #"{"issuer":"https://id.example","jwks_uri":"http://localhost.evil.example/keys"}"#,
        #"{"issuer":"https://id.example","jwks_uri":7}"#,
    ]) func metadataOfSomebodyElseAreNotBelieved(_ metadata: String) async throws {
        try await withMary { world, api, issuer in
            issuer.set(metadata: metadata)
            let token = try await issuer.token(world.claims())
            #expect(try await world.signedIn(api, token)("GET", "/v1/sandboxes", nil).status == 503)
        }
    }
}

extension World {
    func claims(sub: String = "mary", life: Double = 300) -> TestIssuer.Claims {
        TestIssuer.Claims(sub: sub, exp: Double(clock.now().milliseconds) / 1000 + life)
    }

    /// Sends with this token as a bearer's.
    func signedIn(
        _ api: API, _ token: String, group: String? = nil
    ) -> @Sendable (String, String, String?) async throws -> Reply {
        { method, path, body in
            var headers: HTTPFields = [.authorization: "Bearer \(token)"]
            if let group { headers[HTTPField.Name("X-ComputeSDK-Group")!] = group }
            return try await api.send(
                try #require(HTTPRequest.Method(rawValue: method)), path, body, headers: headers, authenticated: false)
        }
    }
}
