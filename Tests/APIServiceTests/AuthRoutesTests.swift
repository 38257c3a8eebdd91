import APIContract
import APIService
import Auth
import ComputeCore
import ComputeDomain
import EventSourcing
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import TestSupport
import Testing

/// `/auth/*` of one compute, asked as the Gateway asks.
struct AuthAPI: Sendable {
    let api: API
    let id: String
    let token: String

    func send(
        _ method: HTTPRequest.Method, _ path: String, _ body: String? = nil, token: String?,
        headers: HTTPFields = [:]
    ) async throws -> Reply {
        var headers = headers
        headers[HTTPField.Name(AuthHeader.computeID)!] = id
        if let token { headers[.authorization] = "Bearer \(token)" }
        return try await api.send(method, path, body, headers: headers, authenticated: false)
    }

    /// As the owner.
    func send(_ method: HTTPRequest.Method, _ path: String, _ body: String? = nil) async throws -> Reply {
        try await send(method, path, body, token: token)
    }

    func visit(_ link: Reply, headers: HTTPFields = [:]) async throws -> Reply {
        let url = link["data", "magic_url"]?.text ?? ""
        return try await send(.get, String(url.drop { $0 != "?" }.withPath), token: nil, headers: headers)
    }
}

extension Substring {
    fileprivate var withPath: String { "/auth/magic" + self }
}

extension World {
    func withCompute(_ test: @escaping @Sendable (AuthAPI) async throws -> Void) async throws {
        try await withAPI { api async throws in
            let made = try await api.create()
            try await test(
                AuthAPI(api: api, id: made.sandboxID, token: made["data", "token"]?.text ?? ""))
        }
    }
}

struct AuthRoutesTests {
    // MARK: - Session tokens

    @Test func aMadeTokenHasEveryFieldInBothSpellingsAndBothPlaces() async throws {
        let world = World()
        try await world.withCompute { auth async throws in
            let reply = try await auth.send(
                .post, "/auth/session_tokens", #"{"description":"for the browser","expiresIn":3600,"waitFor":1}"#)
            #expect(reply.status == 201)
            #expect(reply["status"] == .string("success"))
            #expect(reply["message"]?.text?.isEmpty == false)
            guard case .object(let data)? = reply["data"], case .object(let top) = reply.json else { return }
            #expect(
                Set(data.keys) == [
                    "id", "token", "description", "createdAt", "created_at", "expiresAt", "expires_at", "expiresIn",
                    "expires_in",
                ])
            for (name, value) in data { #expect(top[name] == value, "\(name)") }
            let now = world.clock.now()
            #expect(data["createdAt"] == .string(now.rfc3339) && data["created_at"] == data["createdAt"])
            #expect(data["expiresAt"] == .string((now + .seconds(3600)).rfc3339))
            #expect(data["expires_at"] == data["expiresAt"])
            #expect(data["expiresIn"] == .int(3600) && data["expires_in"] == .int(3600))
            let token = try await TokenVerifier(keys: [world.ports.tokens.publicKey]).verify(
                data["token"]?.text ?? "", now: now)
            #expect(token.kind == .session && token.computeID.rawValue == auth.id && token.group == .default)
            #expect(token.tokenID == data["id"]?.text && token.expiresAt == now + .seconds(3600))
        }
    }

    @Test(arguments: [nil, "{}", #"{"expiresIn":null}"#, #"{"expires_in":604800}"#, #"{"expiresIn":604800.0}"#])
    func aTokenLastsAWeekUnlessAskedOtherwise(_ body: String?) async throws {
        try await World().withCompute { auth async throws in
            let reply = try await auth.send(.post, "/auth/session_tokens", body)
            #expect(reply.status == 201 && reply["data", "expiresIn"] == .int(604_800))
            #expect(reply["data", "description"] == nil)
        }
    }

    @Test(
        arguments: [
            (#"{"expiresIn":0}"#, "expiresIn"), (#"{"expires_in":-1}"#, "expires_in"),
            (#"{"expiresIn":"1"}"#, "expiresIn"),
            (#"{"expiresIn":31536001}"#, "expiresIn"), (#"{"expiresIn":1.5}"#, "expiresIn"),
            (#"{"expiresIn":1e300}"#, "expiresIn"), (#"{"description":1}"#, "description"),
            (#"{"description":"\#(String(repeating: "x", count: 1025))"}"#, "description"), ("[]", nil), ("{", nil),
        ] as [(String, String?)])
    func aBadTokenOrderIsA400ThatNamesTheField(_ body: String, _ field: String?) async throws {
        try await World().withCompute { auth async throws in
            let reply = try await auth.send(.post, "/auth/session_tokens", body)
            #expect(reply.status == 400 && reply["field"]?.text == field, "\(reply.text)")
        }
    }

    @Test func tokensAreListedReadAndTakenBack() async throws {
        let world = World()
        try await world.withCompute { auth async throws in
            let first = try await auth.send(.post, "/auth/session_tokens", #"{"description":"a"}"#)
            world.clock.advance(by: .seconds(1))
            let second = try await auth.send(.post, "/auth/session_tokens", #"{"expiresIn":60}"#)
            let (a, b) = (first["id"]?.text ?? "", second["id"]?.text ?? "")
            let list = try await auth.send(.get, "/auth/session_tokens")
            guard case .array(let tokens)? = list["data", "tokens"] else { return }
            let ids = tokens.map { if case .object(let fields) = $0 { fields["id"]?.text } else { String?.none } }
            #expect(ids == [a, b])
            for case .object(let fields) in tokens {
                #expect(fields["token"] == nil && fields["expiresAt"] != nil && fields["created_at"] != nil)
            }
            let one = try await auth.send(.get, "/auth/session_tokens/\(a)")
            #expect(one.status == 200 && one["id"] == .string(a) && one["data", "description"] == .string("a"))
            #expect(one["token"] == nil && one["data", "token"] == nil)
            #expect(one["data", "lastUsedAt"] == nil)

            // What a Gateway saw.
            try await world.ports.sessions.noteUses([SessionID(a)!: world.clock.now()])
            let used = try await auth.send(.get, "/auth/session_tokens/\(a)")
            #expect(used["data", "last_used_at"] == .string(world.clock.now().rfc3339))
            #expect(used["lastUsedAt"] == used["data", "last_used_at"])

            for _ in 0..<2 {
                let revoked = try await auth.send(.delete, "/auth/session_tokens/\(a)")
                #expect(revoked.status == 204 && revoked.bytes.isEmpty)
                let said = revoked.headers[HTTPField.Name(AuthHeader.revoked)!]
                #expect(said.flatMap(AuthHeader.revoked(in:))?.id.rawValue == a)
            }
            #expect(try await auth.send(.get, "/auth/session_tokens/\(a)").status == 404)
            world.clock.advance(by: .seconds(60))
            #expect(try await auth.send(.get, "/auth/session_tokens/\(b)").status == 404)
            #expect(try await auth.send(.delete, "/auth/session_tokens/\(b)").status == 204)
            let rest = try await auth.send(.get, "/auth/session_tokens")
            #expect(rest["data", "tokens"] == .array([]))
            let types = try await world.store.events(of: .session(SessionID(a)!)).map(\.type)
            #expect(types == ["SessionTokenCreated", "SessionTokenRevoked"])
        }
    }

    @Test func whatNobodyMadeIsA404() async throws {
        try await World().withCompute { auth async throws in
            for id in [SessionID.random().rawValue, "x", "A'--", "%2e%2e"] {
                #expect(try await auth.send(.get, "/auth/session_tokens/\(id)").status == 404)
                #expect(try await auth.send(.delete, "/auth/session_tokens/\(id)").status == 404)
            }
        }
    }

    @Test func anotherComputesTokensDoNotExist() async throws {
        try await World().withCompute { auth async throws in
            let made = try await auth.send(.post, "/auth/session_tokens")
            let id = made["id"]?.text ?? ""
            let second = try await auth.api.create()
            let other = AuthAPI(
                api: auth.api, id: second.sandboxID, token: second["data", "token"]?.text ?? "")
            #expect(try await other.send(.get, "/auth/session_tokens/\(id)").status == 404)
            #expect(try await other.send(.delete, "/auth/session_tokens/\(id)").status == 404)
            #expect(try await other.send(.get, "/auth/session_tokens")["data", "tokens"] == .array([]))
            // Nor is a token good anywhere else.
            #expect(try await auth.send(.get, "/auth/session_tokens", token: other.token).status == 401)
            #expect(try await auth.send(.get, "/auth/session_tokens/\(id)").status == 200)
        }
    }

    @Test func aComputeHasSoManySessionsAndNoMore() async throws {
        try await World {
            $0.sessionsPerCompute = 2
            $0.revokedSessionsPerCompute = 2
        }.withCompute { auth async throws in
            let first = try await auth.send(.post, "/auth/session_tokens")
            let link = try await auth.send(.post, "/auth/magic-links")
            #expect(try await auth.send(.post, "/auth/session_tokens").status == 201)
            let third = try await auth.send(.post, "/auth/session_tokens")
            #expect(third.status == 429 && third.headers[HTTPField.Name("Retry-After")!] == "60")
            #expect(try await auth.visit(link).status == 429)
            _ = try await auth.send(.delete, "/auth/session_tokens/\(first["id"]?.text ?? "")")
            let fourth = try await auth.send(.post, "/auth/session_tokens")
            #expect(fourth.status == 201)
            // Gateways remember the revoked ones, so there is an end to those too.
            _ = try await auth.send(.delete, "/auth/session_tokens/\(fourth["id"]?.text ?? "")")
            #expect(try await auth.send(.post, "/auth/session_tokens").status == 429)
        }
    }

    // MARK: - Who may

    @Test func aSessionTokenMayNotMakeTokens() async throws {
        try await World().withCompute { auth async throws in
            let made = try await auth.send(.post, "/auth/session_tokens")
            let (id, session) = (made["id"]?.text ?? "", made["token"]?.text)
            for (method, path) in [
                (HTTPRequest.Method.post, "/auth/session_tokens"), (.get, "/auth/session_tokens"),
                (.get, "/auth/session_tokens/\(id)"), (.delete, "/auth/session_tokens/\(id)"),
                (.post, "/auth/magic-links"), (.post, "/auth/magic-link"),
            ] {
                let reply = try await auth.send(method, path, token: session)
                #expect(reply.status == 403 && reply["code"] == .string("forbidden"), "\(path)")
                for token in [nil, "", "nonsense", "e30.e30.e30"] as [String?] {
                    #expect(try await auth.send(method, path, token: token).status == 401, "\(path)")
                }
            }
            _ = try await auth.send(.delete, "/auth/session_tokens/\(id)")
            #expect(try await auth.send(.get, "/auth/session_tokens", token: session).status == 401)
        }
    }

    @Test func aDoubledCredentialIsRefused() async throws {
        try await World().withCompute { auth async throws in
            let reply = try await auth.api.send(
                .get, "/s/\(auth.id)/auth/session_tokens", doubling: "Authorization",
                ["Bearer \(auth.token)", "Bearer \(auth.token)"])
            #expect(reply.status == 400)
        }
    }

    @Test func withoutAComputeThereIsNoRoute() async throws {
        let world = World()
        try await world.withCompute { auth async throws in
            for path in ["/auth/status", "/auth/magic?token=x", "/auth/session_tokens"] {
                #expect(try await auth.api.send(.get, path).status == 404)
            }
            for id in [ComputeID.random().rawValue, "X"] {
                let other = AuthAPI(api: auth.api, id: id, token: auth.token)
                #expect(try await other.send(.get, "/auth/status").status == 404)
                #expect(try await other.send(.get, "/s/\(id)/auth/session_tokens").status == 404)
            }
            _ = try await auth.api.send(.delete, "/v1/sandboxes/\(auth.id)")
            for path in ["/auth/status", "/auth/info", "/auth/session_tokens", "/auth/magic?token=x"] {
                #expect(try await auth.send(.get, path).status == 404, "\(path)")
            }
        }
    }

    @Test func pathAndHostFormAreTheSame() async throws {
        try await World().withCompute { auth async throws in
            let made = try await auth.api.send(
                .post, "/s/\(auth.id)/auth/session_tokens", headers: [.authorization: "Bearer \(auth.token)"],
                authenticated: false)
            #expect(made.status == 201)
            #expect(try await auth.send(.get, "/auth/session_tokens/\(made["id"]?.text ?? "")").status == 200)
        }
    }

    // MARK: - Public

    @Test func theStatusIsTheUnionOfWhatClientsRead() async throws {
        let world = World()
        try await world.withCompute { auth async throws in
            let made = try await auth.send(.post, "/auth/session_tokens", #"{"expiresIn":60}"#)
            let session = made["token"]?.text
            for (token, type) in [
                (nil, nil), ("nonsense", nil), (auth.token, "access_token"), (session, "session_token"),
            ] as [(String?, String?)] {
                let reply = try await auth.send(.get, "/auth/status", token: token)
                #expect(reply.status == 200 && reply["status"] == .string("success"))
                #expect(reply["data", "authenticated"] == .bool(type != nil))
                #expect(reply["data", "token_type"]?.text == type)
                #expect((reply["data", "expires_at"] != nil) == (type != nil))
                #expect(reply["data", "token_issued"] == .bool(true))
                #expect(reply["data", "status"] == .string("claimed"))
                #expect(reply["data", "available"] == .bool(false))
            }
            _ = try await auth.send(.delete, "/auth/session_tokens/\(made["id"]?.text ?? "")")
            let after = try await auth.send(.get, "/auth/status", token: session)
            #expect(after["data", "authenticated"] == .bool(false))
        }
    }

    @Test func theInfoNamesEveryEndpoint() async throws {
        try await World().withCompute { auth async throws in
            let reply = try await auth.send(.get, "/auth/info", token: nil)
            #expect(reply.status == 200)
            for name in ["message", "instructions", "usage"] { #expect(reply["data", name] != nil) }
            for name in [
                "create_session_token", "list_session_tokens", "get_session_token", "revoke_session_token",
                "create_magic_link", "auth_status", "auth_info", "generate_token", "check_status", "info",
            ] { #expect(reply["data", "endpoints", name]?.text?.contains(" /auth/") == true, "\(name)") }
        }
    }

    @Test func theAccessTokenIsFixed() async throws {
        try await World().withCompute { auth async throws in
            let reply = try await auth.send(.post, "/auth/token", token: nil)
            #expect(reply.status == 409 && reply["code"] == .string("conflict"))
            #expect(try await auth.send(.get, "/auth/token", token: nil).status == 405)
        }
    }

    // MARK: - The feed

    @Test func theFeedTellsARevocationAndALookupTheRest() async throws {
        let world = World()
        try await world.withCompute { auth async throws in
            let made = try await auth.send(.post, "/auth/session_tokens", #"{"expiresIn":60}"#)
            let id = made["id"]?.text ?? ""
            let expected = SessionRecord(
                sessionId: SessionID(id)!, computeId: ComputeID(auth.id)!, isRevoked: false,
                expiresAt: world.clock.now() + .seconds(60))
            try await world.server.internalApplication.test(.router) { client async throws in
                let inside = API(client: client, key: "")
                func record() async throws -> SessionRecord {
                    let reply = try await inside.send(.get, "/internal/v1/sessions/\(id)", authenticated: false)
                    return try JSONDecoder().decode(SessionRecord.self, from: Data(reply.bytes))
                }
                #expect(try await record() == expected)
                _ = try await auth.send(.delete, "/auth/session_tokens/\(id)")
                var revoked = expected
                revoked.isRevoked = true
                #expect(try await record() == revoked)
                let feed = try await inside.send(.get, "/internal/v1/events?wait=0", authenticated: false)
                let lines = try feed.text.split(separator: "\n").map {
                    try JSONDecoder().decode(FeedLine.self, from: Data($0.utf8))
                }
                #expect(lines.compactMap(\.session) == [revoked])
                #expect(lines.filter { $0.session != nil }.map(\.type) == ["SessionTokenRevoked"])
                let unknown = "/internal/v1/sessions/\(SessionID.random())"
                #expect(try await inside.send(.get, unknown, authenticated: false).status == 404)

                let uses = SessionUses(uses: [.init(sessionId: SessionID(id)!, at: world.clock.now())])
                let body = String(decoding: try JSONEncoder().encode(uses), as: UTF8.self)
                let told = try await inside.send(.post, "/internal/v1/sessions/uses", body, authenticated: false)
                #expect(told.status == 204)
                #expect(try await world.ports.sessions.session(SessionID(id)!)?.lastUsedAt == world.clock.now())
                for body in [#"{"uses":1}"#, #"{"uses":[1]}"#, #"{"uses":[{"sessionId":"x","at":"y"}]}"#] {
                    let reply = try await inside.send(
                        .post, "/internal/v1/sessions/uses", body, authenticated: false)
                    #expect(reply.status == 400)
                }
            }
        }
    }

    /// Canaries: neither tokens nor links turn up in an event, the feed or a log line.
    @Test func tokensAndLinksStayOutOfEventsAndLogs() async throws {
        let world = World()
        let secrets = Secrets()
        try await world.withCompute { auth async throws in
            let made = try await auth.send(.post, "/auth/session_tokens")
            let link = try await auth.send(.post, "/auth/magic-links", #"{"redirectUrl":"/x?canary=7f3a9c"}"#)
            let used = try await auth.visit(link)
            #expect(used.status == 302)
            await secrets.add(made["token"]?.text)
            await secrets.add((link["data", "magic_url"]?.text?.split(separator: "=").last).map { "\($0)" })
            await secrets.add(used.headers[.setCookie]?.split(separator: ";").first.map { "\($0.dropFirst(19))" })
            await secrets.add("canary=7f3a9c")
        }
        let page = try await world.store.events(after: nil, matching: EventFilter(), limit: 1000)
        #expect(page.events.contains { $0.type == "MagicLinkUsed" && $0.metadata.actor.hasPrefix("link:") })
        let texts = page.events.map { "\($0)" } + world.logs.all
        let all = await secrets.all
        #expect(all.count == 4 && all.allSatisfy { $0.count > 10 })
        for secret in all { for text in texts { #expect(!text.contains(secret)) } }
    }
}

private actor Secrets {
    var all: [String] = []
    func add(_ text: String?) { if let text { all.append(text) } }
}
