import APIContract
import APIService
import Auth
import ComputeCore
import ComputeDomain
import HTTPTypes
import TestSupport
import Testing

struct MagicLinkRoutesTests {
    private let proto = HTTPField.Name("X-Forwarded-Proto")!

    @Test(arguments: ["/auth/magic-links", "/auth/magic-link"])
    func aLinkSignsItsVisitorInOnce(_ path: String) async throws {
        let world = World()
        try await world.withCompute { auth async throws in
            let link = try await auth.send(.post, path)
            #expect(link.status == 201 && link["status"] == .string("success"))
            #expect(link["data", "redirect_url"] == .string("/play/"))
            #expect(link["data", "expires_at"] == .string((world.clock.now() + .seconds(300)).rfc3339))
            let url = link["data", "magic_url"]?.text ?? ""
            #expect(url.hasPrefix("http://\(auth.id).localhost:8080/auth/magic?token="))

            let visit = try await auth.visit(link)
            #expect(visit.status == 302 && visit.headers[.location] == "/play/")
            #expect(visit.headers[.cacheControl] == "no-store")
            #expect(visit.headers[HTTPField.Name("Referrer-Policy")!] == "no-referrer")
            let cookie = try #require(visit.headers[.setCookie])
            #expect(cookie.hasPrefix("computesdk_session="))
            #expect(cookie.hasSuffix("; Path=/; HttpOnly; SameSite=Lax; Max-Age=604800"))
            let token = try await TokenVerifier(keys: [world.ports.tokens.publicKey]).verify(
                String(cookie.dropFirst(19).prefix { $0 != ";" }), now: world.clock.now())
            #expect(token.kind == .session && token.computeID.rawValue == auth.id)
            #expect(token.expiresAt == world.clock.now() + .seconds(7 * 24 * 3600))
            // It is a session like any other, and can be taken back.
            #expect(try await auth.send(.get, "/auth/session_tokens/\(token.tokenID)").status == 200)

            let again = try await auth.visit(link)
            #expect(again.status == 400 && again.headers[.setCookie] == nil)
            #expect(again.headers[.contentType] == "text/html; charset=utf-8")
            #expect(again.headers[.contentSecurityPolicy]?.hasPrefix("default-src 'none'") == true)
        }
    }

    @Test func onHTTPSTheCookieIsBoundToItsHost() async throws {
        try await World().withCompute { auth async throws in
            let link = try await auth.send(.post, "/auth/magic-links")
            let visit = try await auth.visit(link, headers: [proto: "https"])
            let cookie = try #require(visit.headers[.setCookie])
            #expect(cookie.hasPrefix("__Host-computesdk="))
            #expect(cookie.contains("; Path=/; Secure; HttpOnly; SameSite=Lax") && !cookie.contains("Domain"))
        }
    }

    @Test func inThePathFormThereIsNoCookie() async throws {
        try await World().withCompute { auth async throws in
            for (redirect, expected) in [
                ("/play/", "/s/\(auth.id)/play/?token="), ("/a?b=c#d", "/s/\(auth.id)/a?b=c&token="),
            ] {
                let link = try await auth.send(.post, "/auth/magic-links", #"{"redirectUrl":"\#(redirect)"}"#)
                let secret = link["data", "magic_url"]?.text?.split(separator: "=").last ?? ""
                let visit = try await auth.api.send(
                    .get, "/s/\(auth.id)/auth/magic?token=\(secret)", authenticated: false)
                #expect(visit.status == 302 && visit.headers[.setCookie] == nil)
                let location = try #require(visit.headers[.location])
                #expect(location.hasPrefix(expected) && location.hasSuffix("#d") == redirect.hasSuffix("#d"))
            }
        }
    }

    @Test func aLinkThatIsOverOrNobodysIsA400Page() async throws {
        let world = World()
        try await world.withCompute { auth async throws in
            let link = try await auth.send(.post, "/auth/magic-links")
            let second = try await auth.api.create()
            let other = AuthAPI(api: auth.api, id: second.sandboxID, token: "")
            #expect(try await other.visit(link).status == 400)
            for query in [
                "", "?token=", "?token=x", "?token=\(String(repeating: "A", count: 43))", "?token=%00",
                "?token=\(String(repeating: "x", count: 100_000))", "?TOKEN=x",
            ] {
                let reply = try await auth.send(.get, "/auth/magic\(query)", token: nil)
                #expect(reply.status == 400 && reply.text.hasPrefix("<!doctype html>"))
            }
            world.clock.advance(by: .seconds(300))
            #expect(try await auth.visit(link).status == 400)
        }
    }

    @Test func ofManyVisitsAtOnceOneWins() async throws {
        let world = World()
        try await world.withCompute { auth async throws in
            let link = try await auth.send(.post, "/auth/magic-links")
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<20 { group.addTask { try await auth.visit(link).status } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(statuses.filter { $0 == 302 }.count == 1 && statuses.filter { $0 == 400 }.count == 19)
            let tokens = try await auth.send(.get, "/auth/session_tokens")
            if case .array(let list)? = tokens["data", "tokens"] { #expect(list.count == 1) }
        }
    }

    @Test func whatOnlyLooksUsesNothingUp() async throws {
        try await World().withCompute { auth async throws in
            let link = try await auth.send(.post, "/auth/magic-links")
            let path = "/auth/magic?token=\(link["data", "magic_url"]?.text?.split(separator: "=").last ?? "")"
            let head = try await auth.send(.head, path, token: nil)
            #expect(head.status == 200 && head.bytes.isEmpty && head.headers[.setCookie] == nil)
            for (name, value, status) in [
                ("Sec-Purpose", "prefetch;prerender", 425), ("Purpose", "prefetch", 425), ("X-Moz", "prefetch", 425),
                ("Sec-Fetch-Mode", "no-cors", 403), ("Sec-Fetch-Mode", "cors", 403), ("Sec-Fetch-Dest", "image", 403),
                ("Sec-Fetch-Dest", "iframe", 403), ("User-Agent", "Slackbot-LinkExpanding 1.0", 200),
                ("User-Agent", "Mozilla/5.0 (compatible; bingbot/2.0)", 200),
                ("User-Agent", "facebookexternalhit/1.1", 200),
            ] {
                let reply = try await auth.send(
                    .get, path, token: nil, headers: [HTTPField.Name(name)!: value])
                #expect(reply.status == status && reply.headers[.setCookie] == nil, "\(name): \(value)")
            }
            for method in [HTTPRequest.Method.post, .put, .delete] {
                #expect(try await auth.send(method, path, token: nil).status == 405)
            }
            let browser: HTTPFields = [
                HTTPField.Name("Sec-Fetch-Mode")!: "navigate", HTTPField.Name("Sec-Fetch-Dest")!: "document",
                .userAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            ]
            #expect(try await auth.visit(link, headers: browser).status == 302)
        }
    }

    @Test(arguments: [
        "", "play", "//evil.example", "///x", #"/\\evil.example"#, #"/a\\b"#, "https://evil.example/", "javascript:x",
        "/\\t/evil", "/ x", "/\\u00e9", "/..", "/../x", "/a/../../b", "/%2e%2E/x", "/.%2e/", "/./x", "/a\\r\\nX: y",
        "/\\u0000", "/" + String(repeating: "x", count: 2048),
    ])
    func aRedirectStaysOnItsHost(_ text: String) async throws {
        try await World().withCompute { auth async throws in
            let reply = try await auth.send(.post, "/auth/magic-links", #"{"redirectUrl":"\#(text)"}"#)
            #expect(reply.status == 400 && reply["field"] == .string("redirectUrl"), "\(reply.text)")
        }
    }

    @Test(arguments: ["/", "/play/", "/a/b?c=//d&e=..", "/a#../b", "/%2F/x", "/.../x", "/.well-known/x"])
    func aPathOfItsHostIsTaken(_ path: String) async throws {
        try await World().withCompute { auth async throws in
            let link = try await auth.send(.post, "/auth/magic-links", #"{"redirect_url":"\#(path)"}"#)
            #expect(link.status == 201 && link["data", "redirect_url"] == .string(path))
            #expect(try await auth.visit(link).headers[.location] == path)
        }
    }

    @Test func aRedirectThatIsNoTextIsA400() async throws {
        try await World().withCompute { auth async throws in
            let reply = try await auth.send(.post, "/auth/magic-links", #"{"redirectUrl":1}"#)
            #expect(reply.status == 400 && reply["field"] == .string("redirectUrl"))
        }
    }
}
