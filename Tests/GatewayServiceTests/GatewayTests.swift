import APIContract
import Auth
import ComputeCore
import Crypto
import Foundation
import GatewayService
import HTTPServing
import NIOCore
import NIOHTTP1
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct GatewayTests {
    @Test func requestsThatAreNoComputesGoToTheAPI() async throws {
        try await GatewayWorld.run { world in
            let answer = try await world.send(
                .POST, host: "127.0.0.1:\(world.port)", "/v1/sandboxes?token=x",
                ["Authorization": "Bearer key", "X-ComputeSDK-API-Key": "k", "Cookie": "computesdk_session=s"],
                body: "{}")
            #expect(answer.status == 200 && answer.body == "api")
            let seen = try #require(world.api.last)
            #expect(seen.uri == "/v1/sandboxes?token=x")
            #expect(seen.headers["host"] == ["127.0.0.1:\(world.port)"])
            #expect(seen.headers["x-forwarded-for"] == ["127.0.0.1"])
            #expect(seen.headers["x-computesdk-api-key"] == ["k"])
            #expect(seen.headers["authorization"] == ["Bearer key"])
            #expect(answer.headers["x-request-id"] == seen.headers["x-request-id"])
            #expect(try await world.send(host: world.host("\(world.id)"), "/auth/status").body == "api")
            #expect(world.api.last?.headers["host"] == [world.host("\(world.id)")])
        }
    }

    @Test(arguments: ["//a//b", "/a%2Fb%2e%2e", "/../x", "/a;b?c=%20&d", "/%C3%A9/%ff"])
    func pathBytesReachTheSidekickUnchanged(_ target: String) async throws {
        try await GatewayWorld.run { world in
            let headers = try await world.authorized(world.id)
            #expect(try await world.send(host: world.host("\(world.id)"), target, headers).status == 200)
            #expect(world.sidekick.last.map { Array($0.uri.utf8) } == Array(target.utf8))
            #expect(try await world.send(host: "127.0.0.1", "/s/\(world.id)\(target)", headers).status == 200)
            #expect(world.sidekick.last.map { Array($0.uri.utf8) } == Array(target.utf8))
            #expect(try await world.send(host: world.host("\(world.id)-\(world.appPort)"), target).body == "app")
            #expect(world.app.last.map { Array($0.uri.utf8) } == Array(target.utf8))
        }
    }

    @Test func aPortWithoutItsFinalSlashIsRedirectedAndAWebSocketIsNot() async throws {
        try await GatewayWorld.run { world in
            let path = "/s/\(world.id)/p/\(world.appPort)"
            let answer = try await world.send(.POST, host: "127.0.0.1", "\(path)?a=b%20c", body: "{}")
            #expect(answer.status == 308)
            #expect(answer.headers["location"] == ["\(path)/?a=b%20c"])
            #expect(world.app.all.isEmpty)
            #expect(try await world.send(host: "127.0.0.1", "\(path)/?a=b%20c").body == "app")
            _ = try await world.send(
                host: "127.0.0.1", "\(path)?a", ["Connection": "Upgrade", "Upgrade": "websocket"])
            #expect(world.app.last?.uri == "/?a")
        }
    }

    // MARK: - Tokens

    @Test func aDoubledAuthorizationIsRefused() async throws {
        try await GatewayWorld.run { world in
            let token = try await world.token(world.id)
            for other in ["Bearer \(token)", "Bearer other", ""] {
                var headers: HTTPHeaders = ["Authorization": "Bearer \(token)"]
                headers.add(name: "authorization", value: other)
                let answer = try await world.send(host: world.host("\(world.id)"), "/files", headers)
                #expect(answer.status == 400)
                #expect(answer.body.contains(#""field":"authorization""#), "\(answer.body)")
            }
            #expect(world.sidekick.all.isEmpty)
        }
    }

    @Test func tokenIsReplacedByTheSidekicksSecret() async throws {
        try await GatewayWorld.run { world in
            let token = try await world.token(world.id)
            let host = world.host("\(world.id)")
            for (target, headers) in [
                ("/files?a=1&b=2", ["Authorization": "Bearer \(token)"] as HTTPHeaders),
                ("/files?a=1&token=\(token)&b=2", [:]),
                ("/files?a=1&b=2", ["Cookie": "computesdk_session=\(token)", "Sec-Fetch-Site": "same-origin"]),
            ] {
                #expect(try await world.send(host: host, target, headers).status == 200)
                let seen = try #require(world.sidekick.last)
                #expect(seen.uri == "/files?a=1&b=2")
                #expect(seen.headers["authorization"] == ["Bearer \(world.secret(world.id))"])
                #expect(!seen.headers.contains { $0.value.contains(token) })
            }
        }
    }

    @Test func publicRoutesGoOnWithoutAnyCredential() async throws {
        try await GatewayWorld.run { world in
            let answer = try await world.send(
                host: world.host("\(world.id)"), "/health?token=x", ["Authorization": "Bearer x"])
            #expect(answer.status == 200)
            #expect(world.sidekick.last?.uri == "/health")
            #expect(world.sidekick.last?.headers["authorization"] == [])
            #expect(try await world.send(host: world.host("\(world.id)"), "/info").status == 401)
            #expect(world.sidekick.all.count == 1)
        }
    }

    @Test func nobodyReachesAnothersCompute() async throws {
        try await GatewayWorld.run { world in
            let victim = ComputeID.random()
            world.internalAPI.tell(world.record(victim))
            let host = world.host("\(victim)")
            let foreign = try await world.token(world.id)
            #expect(try await world.send(host: host, "/info", ["Authorization": "Bearer \(foreign)"]).status == 403)
            #expect(try await world.send(host: host, "/info?token=\(foreign)").status == 403)
            #expect(
                try await world.send(host: "localhost", "/s/\(victim)/info", ["Authorization": "Bearer \(foreign)"])
                    .status == 403)
            let upgrade: HTTPHeaders = ["Connection": "Upgrade", "Upgrade": "websocket"]
            #expect(try await world.send(host: host, "/ws", upgrade).status == 401)
            #expect(try await world.send(host: host, "/ws?token=\(foreign)", upgrade).status == 403)
            #expect(try await world.send(host: host, "/health", upgrade).status == 401)
            let otherGroup = try await world.token(victim, group: GroupID("other"))
            #expect(try await world.send(host: host, "/info?token=\(otherGroup)").status == 403)
            let expired = try await world.token(victim, life: .seconds(-1))
            #expect(try await world.send(host: host, "/info?token=\(expired)").status == 401)
            #expect(try await world.send(host: host, "/info?token=a.b.c").status == 401)
            #expect(world.sidekick.all.isEmpty)
        }
    }

    @Test func errorsHaveTheOneBodyAndAreReadableByPages() async throws {
        try await GatewayWorld.run { world in
            let answer = try await world.send(host: world.host("\(world.id)"), "/info", ["X-Request-Id": "abc"])
            let body = try JSONDecoder().decode(Problem.Body.self, from: Data(answer.body.utf8))
            #expect(body.requestId == "abc" && body.code == .unauthenticated && body.success == false)
            #expect(answer.headers["access-control-allow-origin"] == ["*"])
            let page = try await world.send(
                host: world.host("\(world.id)-1"), "/", ["Accept": "text/html,application/json"])
            #expect(page.status == 502)
            #expect(page.headers.first(name: "content-type")?.hasPrefix("text/html") == true)
            #expect(page.headers.contains(name: "content-security-policy"))
        }
    }

    @Test func anyPageMayAskASidekickButNoneWithCookies() async throws {
        try await GatewayWorld.run(sidekick: { exchange in
            try await exchange.respond(
                status: .ok,
                headers: ["Access-Control-Allow-Credentials": "true", "Access-Control-Allow-Origin": "http://evil"])
        }) { world in
            let preflight = try await world.send(
                .OPTIONS, host: world.host("\(world.id)"), "/files",
                ["Origin": "http://x", "Access-Control-Request-Method": "PUT"])
            #expect(preflight.status == 204)
            #expect(preflight.headers["access-control-allow-origin"] == ["*"])
            #expect(world.sidekick.all.isEmpty)
            // Ranges and uploads that go on, from a page as well.
            for name in ["Range", "Upload-Offset", "X-Content-SHA256"] {
                #expect(preflight.headers["access-control-allow-headers"].first?.contains(name) == true)
            }
            let answer = try await world.send(
                host: world.host("\(world.id)"), "/files", try await world.authorized(world.id))
            for name in ["Content-Range", "Upload-Offset", "ETag", "X-Request-Id"] {
                #expect(answer.headers["access-control-expose-headers"].first?.contains(name) == true)
            }
            #expect(answer.headers["access-control-allow-origin"] == ["*"])
            #expect(!answer.headers.contains(name: "access-control-allow-credentials"))
        }
    }

    // MARK: - Ports

    @Test func portsAreOpenAndNeverSeeOurCredentials() async throws {
        try await GatewayWorld.run(app: { exchange in
            try await exchange.respond(
                status: .ok, headers: ["Set-Cookie": "computesdk_session=planted; Domain=localhost"])
        }) { world in
            let token = try await world.token(world.id)
            let headers: HTTPHeaders = [
                "Authorization": "Bearer \(token)", "X-ComputeSDK-Token": token,
                "Cookie": "app=1; computesdk_session=\(token)", "Referer": "http://x/?token=\(token)",
            ]
            for host in ["\(world.id)-\(world.appPort)", "\(world.appPort)-\(world.id)"] {
                let answer = try await world.send(host: world.host(host), "/x?token=\(token)&y", headers)
                #expect(answer.status == 200)
                #expect(!answer.headers.contains(name: "set-cookie"))
                let seen = try #require(world.app.last)
                #expect(seen.uri == "/x?y")
                #expect(seen.headers["cookie"] == ["app=1"])
                #expect(!seen.headers.contains { $0.value.contains(token) })
            }
            // Not good any more, or never: it still is a credential and stays out.
            let foreign = TokenSigner(Curve25519.Signing.PrivateKey())
            let now = SystemWallClock().now()
            let spoilt = [
                try await world.token(world.id, life: .seconds(-60)),
                try await foreign.sign(
                    AccessToken(
                        computeID: world.id, group: .default, kind: .session, tokenID: "t", issuedAt: now,
                        expiresAt: now + .seconds(60))),
                "csdk_" + String(repeating: "0a", count: 20),
            ]
            for token in spoilt {
                let headers: HTTPHeaders = ["Authorization": "Bearer \(token)", "Referer": "http://x/?token=\(token)"]
                _ = try await world.send(
                    host: world.host("\(world.id)-\(world.appPort)"), "/x?token=\(token)&token=app", headers)
                let seen = try #require(world.app.last)
                #expect(seen.uri == "/x?token=app")
                #expect(!seen.headers.contains { $0.value.contains(token) })
            }
            _ = try await world.send(
                host: world.host("\(world.id)-\(world.appPort)"), "/", ["Authorization": "Bearer of-the-app"])
            #expect(world.app.last?.headers["authorization"] == ["Bearer of-the-app"])
        }
    }

    @Test func pathFormIsSandboxedAndCookieless() async throws {
        try await GatewayWorld.run(app: { exchange in
            try await exchange.respond(status: .ok, headers: ["Set-Cookie": "a=1"])
        }) { world in
            let answer = try await world.send(
                host: "127.0.0.1:\(world.port)", "/s/\(world.id)/p/\(world.appPort)/x", ["Cookie": "api=1"])
            #expect(answer.status == 200)
            #expect(answer.headers["content-security-policy"] == ["sandbox allow-scripts allow-forms"])
            #expect(answer.headers["x-content-type-options"] == ["nosniff"])
            #expect(!answer.headers.contains(name: "set-cookie"))
            #expect(world.app.last?.uri == "/x")
            #expect(world.app.last?.headers.contains(name: "cookie") == false)
        }
    }

    @Test func gatewayIsNoPortOfACompute() async throws {
        try await GatewayWorld.run { world in
            let byHost = try await world.send(host: world.host("\(world.id)-\(world.port)"))
            #expect(byHost.status == 403)
            let byPath = try await world.send(host: "localhost", "/s/\(world.id)/p/\(world.port)/s/\(world.id)/")
            #expect(byPath.status == 403)
        }
    }

    @Test func nothingListeningIs502() async throws {
        try await GatewayWorld.run { world in
            let answer = try await world.send(.POST, host: world.host("\(world.id)-1"), "/", body: "x")
            #expect(answer.status == 502)
            #expect(answer.body.contains("bad_gateway"))
        }
    }

    @Test func childIsNamedToTheSidekick() async throws {
        try await GatewayWorld.run { world in
            var headers = try await world.authorized(world.id)
            headers.add(name: "X-Compute-Child", value: "forged")
            headers.add(name: "X-Compute-Id", value: "forged")
            _ = try await world.send(host: world.host("\(world.id)-web"), "/files", headers)
            #expect(world.sidekick.last?.headers["x-compute-child"] == ["web"])
            #expect(world.sidekick.last?.headers["x-compute-id"] == [])
            _ = try await world.send(host: "localhost", "/s/\(world.id)/c/web/files", headers)
            #expect(world.sidekick.last?.headers["x-compute-child"] == ["web"])
            _ = try await world.send(host: world.host("\(world.id)"), "/files", headers)
            #expect(world.sidekick.last?.headers["x-compute-child"] == [])
        }
    }

    // MARK: - Routes

    @Test func computeIsReachableBeforeItsEventArrives() async throws {
        try await GatewayWorld.run { world in
            let id = ComputeID.random()
            world.internalAPI.know(world.record(id))
            let headers = try await world.authorized(id)
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<10 {
                    group.addTask { try await world.send(host: world.host("\(id)"), "/info", headers).status }
                }
                for try await status in group { #expect(status == 200) }
            }
            #expect(world.internalAPI.lookups(of: id) == 1)
        }
    }

    @Test func endedComputeIsForgottenAtOnce() async throws {
        try await GatewayWorld.run { world in
            let headers = try await world.authorized(world.id)
            let host = world.host("\(world.id)")
            #expect(try await world.send(host: host, "/info", headers).status == 200)
            world.internalAPI.tell(world.record(world.id, .ended))
            #expect(try await eventually { try await world.send(host: host, "/info", headers).status == 404 })
            #expect(try await world.send(host: world.host("\(world.id)-\(world.appPort)")).status == 404)
            #expect(try await world.send(host: world.host("\(ComputeID.random())"), "/health").status == 404)
        }
    }

    @Test func requestWaitsForAComputeThatIsStarting() async throws {
        try await GatewayWorld.run { world in
            let id = ComputeID.random()
            world.internalAPI.tell(world.record(id, .starting))
            let headers = try await world.authorized(id)
            async let answer = world.send(host: world.host("\(id)"), "/info", headers)
            #expect(try await eventually { world.internalAPI.state.withLock { !$0.signals.isEmpty } })
            world.internalAPI.tell(world.record(id))
            #expect(try await answer.status == 200)
        }
    }

    @Test func waitForAStartingComputeIsBounded() async throws {
        try await GatewayWorld.run(startingLimit: .milliseconds(50)) { world in
            let id = ComputeID.random()
            world.internalAPI.tell(world.record(id, .starting))
            let answer = try await world.send(host: world.host("\(id)"), "/health")
            #expect(answer.status == 503)
            #expect(answer.headers.first(name: "retry-after").flatMap { Int($0) } != nil)
        }
    }

    @Test func newGenerationGetsItsOwnSecret() async throws {
        try await GatewayWorld.run { world in
            let headers = try await world.authorized(world.id)
            let second = Generation(2)
            world.internalAPI.tell(world.record(world.id, generation: second))
            #expect(
                try await eventually {
                    _ = try await world.send(host: world.host("\(world.id)"), "/info", headers)
                    return world.sidekick.last?.headers["authorization"]
                        == ["Bearer \(world.secret(world.id, generation: second))"]
                })
        }
    }
}
