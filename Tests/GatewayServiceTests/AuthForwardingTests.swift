import APIContract
import ComputeCore
import GatewayService
import NIOHTTP1
import Testing

/// `/auth/*` of a compute on its way to the API.
@Suite(.timeLimit(.minutes(1))) struct AuthForwardingTests {
    @Test(arguments: [
        (HTTPMethod.GET, "/auth/magic", AuthAccess.Need.nothing), (.HEAD, "/auth/magic", .nothing),
        (.GET, "/auth/status", .optional), (.GET, "/auth/info", .optional), (.POST, "/auth/token", .optional),
        (.POST, "/auth/status", .token), (.GET, "/auth/token", .token), (.GET, "/auth/magic/", .token),
        (.GET, "/auth//magic", .token), (.GET, "/auth/%6dagic", .token), (.GET, "/auth/magic-links", .token),
        (.POST, "/auth/session_tokens", .token), (.GET, "/auth/", .token), (.GET, "/auth/../info", .token),
    ])
    func everythingThatIsNotNamedNeedsAToken(_ method: HTTPMethod, _ path: String, _ need: AuthAccess.Need) {
        #expect(AuthAccess.need(method: method, path: path[...]) == need)
    }

    @Test func theAPILearnsWhichComputeAndNobodyElseCanSaySo() async throws {
        try await GatewayWorld.run { world async throws in
            var headers = try await world.authorized(world.id)
            for name in ["X-Compute-Id", "x_compute_id"] { headers.add(name: name, value: "zzzzzzzz00000000zzzz") }
            for (host, target) in [
                (world.host("\(world.id)"), "/auth/session_tokens"), (world.host("\(world.id)-web"), "/auth/status"),
                ("localhost", "/s/\(world.id)/auth/status"),
            ] {
                #expect(try await world.send(host: host, target, headers).status == 200)
                let seen = try #require(world.api.last)
                #expect(seen.uri == target)
                #expect(seen.headers["x-compute-id"] == [world.id.rawValue])
                #expect(seen.headers["x_compute_id"].isEmpty)
            }
            for (host, target) in [("localhost", "/v1/sandboxes"), ("localhost", "/auth/status")] {
                #expect(try await world.send(host: host, target, headers).status == 200)
                #expect(world.api.last?.headers["x-compute-id"] == [])
            }
            _ = try await world.send(host: world.host("\(world.id)"), "/files", headers)
            #expect(world.sidekick.last?.headers["x-compute-id"] == [])
        }
    }

    @Test func theTokenThatWasVerifiedTravelsAsBearerAlone() async throws {
        try await GatewayWorld.run { world async throws in
            let token = try await world.token(world.id)
            let host = world.host("\(world.id)")
            let cookie: HTTPHeaders = ["Cookie": "computesdk_session=\(token)", "Sec-Fetch-Site": "same-origin"]
            for (target, headers) in [
                ("/auth/session_tokens?token=\(token)&a=b", [:]), ("/auth/session_tokens?a=b", cookie),
                ("/auth/session_tokens?a=b", ["Authorization": "Bearer \(token)", "X-ComputeSDK-API-Key": "k"]),
            ] as [(String, HTTPHeaders)] {
                #expect(try await world.send(host: host, target, headers).status == 200)
                let seen = try #require(world.api.last)
                #expect(seen.headers["authorization"] == ["Bearer \(token)"])
                #expect(seen.headers["cookie"].isEmpty && seen.headers["x-computesdk-api-key"].isEmpty)
                #expect(seen.uri == "/auth/session_tokens?a=b")
            }
        }
    }

    @Test func withoutATokenOnlyThePublicRoutesAreReached() async throws {
        try await GatewayWorld.run { world async throws in
            let host = world.host("\(world.id)")
            let other = try await world.token(.random())
            for headers in [[:], ["Authorization": "Bearer nonsense"]] as [HTTPHeaders] {
                #expect(try await world.send(host: host, "/auth/session_tokens", headers).status == 401)
                #expect(try await world.send(.POST, host: host, "/auth/magic-links", headers).status == 401)
                #expect(try await world.send(host: host, "/auth/status", headers).status == 200)
                #expect(world.api.last?.headers["authorization"] == [])
            }
            #expect(try await world.send(host: host, "/auth/session_tokens?token=\(other)").status == 403)
            #expect(try await world.send(host: host, "/auth/status?token=\(other)").status == 200)
            #expect(world.api.last?.headers["authorization"] == [] && world.api.last?.uri == "/auth/status")
            #expect(try await world.send(.POST, host: host, "/auth/token", [:], body: "{}").status == 200)
            // Cookies of a page elsewhere say nothing, and are no reason to refuse what is public.
            let token = try await world.token(world.id)
            let cross: HTTPHeaders = ["Cookie": "computesdk_session=\(token)"]
            #expect(try await world.send(host: host, "/auth/status", cross).status == 200)
            #expect(world.api.last?.headers["authorization"] == [])
            #expect(try await world.send(host: host, "/auth/session_tokens", cross).status == 403)
        }
    }

    @Test func aMagicLinksSecretPassesAndNoCredentialDoes() async throws {
        try await GatewayWorld.run { world async throws in
            var headers = try await world.authorized(world.id)
            headers.add(name: "Cookie", value: "computesdk_session=x")
            let target = "/auth/magic?token=abc%2Ddef&token=x"
            #expect(try await world.send(host: world.host("\(world.id)"), target, headers).status == 200)
            let seen = try #require(world.api.last)
            #expect(seen.uri == target)
            #expect(seen.headers["authorization"].isEmpty && seen.headers["cookie"].isEmpty)
        }
    }

    @Test func aComputeThatIsUnknownOrOverHasNoAuthRoutes() async throws {
        try await GatewayWorld.run { world async throws in
            let unknown = world.host("\(ComputeID.random())")
            #expect(try await world.send(host: unknown, "/auth/status").status == 404)
            #expect(world.api.all.isEmpty)
            world.internalAPI.tell(world.record(world.id, .ended))
            let over = world.host("\(world.id)")
            #expect(try await eventually { try await world.send(host: over, "/auth/status").status == 404 })
            let count = world.api.all.count
            #expect(try await world.send(host: over, "/auth/magic?token=x").status == 404)
            #expect(world.api.all.count == count)
        }
    }

    @Test func sessionsThatAreOverReachNoAuthRoute() async throws {
        try await GatewayWorld.run { world async throws in
            let (token, record) = try await world.session(isRevoked: true)
            world.internalAPI.tell(record)
            let host = world.host("\(world.id)")
            #expect(try await world.send(host: host, "/auth/session_tokens?token=\(token)").status == 401)
            #expect(try await world.send(host: host, "/auth/status?token=\(token)").status == 200)
            #expect(world.api.last?.headers["authorization"] == [])
        }
    }
}
