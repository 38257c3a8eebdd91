import APIService
import ComputeCore
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import TestSupport
import Testing

/// How often one may ask, over HTTP.
struct RateLimitTests {
    private let forwarded = HTTPField.Name("X-Forwarded-For")!

    private func world(credential: Int64 = 3, address: Int64 = 2) -> World {
        World { $0.rateLimits = RateLimitSettings(perCredential: credential, perAddress: address) }
    }

    private func expectRefused(_ reply: Reply, limit: Int, _ comment: Comment? = nil) {
        #expect(reply.status == 429, comment)
        #expect(reply["code"] == .string("rate_limited"), comment)
        #expect(reply.headers.whole("Retry-After").map { $0 >= 1 } == true, comment)
        #expect(reply.headers.whole("RateLimit-Limit") == limit, comment)
        #expect(reply.headers.whole("RateLimit-Remaining") == 0, comment)
        #expect(reply.headers.whole("RateLimit-Reset") == reply.headers.whole("Retry-After"), comment)
    }

    @Test func aKeyMaySendItsLimitAndGoesOnAfterwards() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            for left in [2, 1, 0] {
                let reply = try await api.send(.get, "/v1/sandboxes")
                #expect(reply.status == 200)
                #expect(reply.headers.whole("RateLimit-Limit") == 3)
                #expect(reply.headers.whole("RateLimit-Remaining") == left)
                #expect(reply.headers.whole("RateLimit-Reset") == 1)
                #expect(reply.headers[HTTPField.Name("RateLimit-Policy")!] == "3;w=1")
            }
            let refused = try await api.create()
            expectRefused(refused, limit: 3)
            #expect(try await world.livingCount() == 0)
            world.clock.advance(by: .seconds(try #require(refused.headers.whole("Retry-After"))))
            #expect(try await api.create().status == 200)
        }
    }

    @Test func keysSessionsAndGroupsDoNotSpendForEachOther() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            let session = try await api.send(.post, "/v1/sessions")["data", "token"]?.text ?? ""
            try await world.make(group: "tenant")
            let others = [session, try await world.key(of: "tenant"), try await world.key(of: "default")]
            for _ in 0..<3 { _ = try await api.send(.get, "/v1/sandboxes") }
            expectRefused(try await api.send(.get, "/v1/sandboxes"), limit: 3)
            for other in others {
                let reply = try await API(client: api.client, key: other).send(.get, "/v1/sandboxes")
                #expect(reply.status == 200)
                #expect(reply.headers.whole("RateLimit-Remaining") == 2)
            }
        }
    }

    /// Whatever it is that makes an answer an error: what counts is who asked.
    @Test func errorsCountAndSayHowMuchIsLeft() async throws {
        try await world().withAPI { api async throws in
            let reply = try await api.create(#"{"timeout":-1}"#)
            #expect(reply.status == 400)
            #expect(reply.headers.whole("RateLimit-Remaining") == 2)
        }
    }

    @Test func strangersAreCountedByTheirAddress() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            let nobody = API(client: api.client, key: "csdk_" + String(repeating: "0", count: 40))
            for _ in 0..<2 {
                let reply = try await nobody.send(.get, "/v1/sandboxes", headers: [forwarded: "192.0.2.1"])
                #expect(reply.status == 401)
                #expect(reply.headers.whole("RateLimit-Limit") == 2)
            }
            for path in ["/v1/sandboxes", "/openapi.json", "/nowhere", "/.well-known/jwks.json"] {
                let refused = try await nobody.send(
                    .get, path, headers: [forwarded: "192.0.2.1"], authenticated: false)
                expectRefused(refused, limit: 2, "\(path)")
            }
            // Not another address, and nobody with a good key at the same one.
            #expect(
                try await nobody.send(.get, "/v1/sandboxes", headers: [forwarded: "192.0.2.2"]).status == 401)
            #expect(try await api.send(.get, "/v1/sandboxes", headers: [forwarded: "192.0.2.1"]).status == 200)
        }
    }

    /// A flood of the same bad key costs the database no more than the limit allows answers.
    @Test func aBadKeyIsLookedForNoMoreOnceItsAddressIsOverItsLimit() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            let text = "chosen-by-an-operator-" + String(repeating: "0", count: 20)
            let nobody = API(client: api.client, key: text)
            let before = world.store.inner.keyLookups
            for _ in 0..<100 { _ = try await nobody.send(.get, "/v1/sandboxes", headers: [forwarded: "192.0.2.1"]) }
            #expect(world.store.inner.keyLookups - before == 2)
            // Another address may ask, and who has a good key is not refused for others.
            #expect(try await nobody.send(.get, "/v1/sandboxes", headers: [forwarded: "192.0.2.2"]).status == 401)
            #expect(try await api.send(.get, "/v1/sandboxes", headers: [forwarded: "192.0.2.1"]).status == 200)
            // It becomes good: at once where one may ask, and soon where one may not.
            _ = try await world.server.keys.bootstrap(preset: text)
            #expect(try await nobody.send(.get, "/v1/sandboxes", headers: [forwarded: "192.0.2.2"]).status == 200)
            #expect(try await nobody.send(.get, "/v1/sandboxes", headers: [forwarded: "192.0.2.1"]).status == 200)
        }
    }

    @Test func aKeyThatAnotherInstanceMadeGoodIsBelievedSoonAlsoInAFlood() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            let text = "chosen-by-an-operator-" + String(repeating: "1", count: 20)
            let nobody = API(client: api.client, key: text)
            func flood() async throws -> Reply {
                for _ in 0..<2 {
                    _ = try await api.send(
                        .get, "/nowhere", headers: [forwarded: "192.0.2.1"], authenticated: false)
                }
                return try await nobody.send(.get, "/v1/sandboxes", headers: [forwarded: "192.0.2.1"])
            }
            #expect(try await nobody.send(.get, "/v1/sandboxes", headers: [forwarded: "192.0.2.1"]).status == 401)
            _ = try await APIKeys(store: world.store, records: world.store.inner, clock: world.clock)
                .bootstrap(preset: text)
            expectRefused(try await flood(), limit: 2)
            world.clock.advance(by: .seconds(10))
            #expect(try await flood().status == 200)
        }
    }

    /// Who has one IPv6 address has 2⁶⁴ of them; who writes the header himself is not believed.
    @Test func anotherAddressOfTheSamePlaceIsNoWayOut() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            var statuses: [Int] = []
            for last in 1...4 {
                let address = "203.0.113.\(last), 2001:db8:1:2::\(last)"
                statuses.append(
                    try await api.send(.get, "/openapi.json", headers: [forwarded: address], authenticated: false)
                        .status)
            }
            #expect(statuses == [200, 200, 429, 429])
        }
    }

    @Test func probesAreNeverRefused() async throws {
        try await world(credential: 1, address: 1).withAPI { api async throws in
            for _ in 0..<20 {
                for path in ["/health", "/ready"] {
                    let reply = try await api.send(
                        .get, path, headers: [forwarded: "192.0.2.1"], authenticated: false)
                    #expect(reply.status == 200)
                    #expect(reply.headers.whole("RateLimit-Limit") == nil)
                }
            }
        }
    }

    /// A compute's own token spends nothing of its group's keys, and not of its address.
    @Test func aTokenOfAComputeCountsForThatCompute() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            let made = [try await api.create(), try await api.create()]
            func status(_ index: Int) async throws -> Reply {
                let token = made[index]["data", "token"]?.text ?? ""
                return try await api.send(
                    .get, "/s/\(made[index].sandboxID)/auth/session_tokens",
                    headers: [.authorization: "Bearer \(token)", forwarded: "192.0.2.1"], authenticated: false)
            }
            for _ in 0..<3 { #expect(try await status(0).status == 200) }
            expectRefused(try await status(0), limit: 3)
            #expect(try await status(1).status == 200)
            #expect(try await api.send(.get, "/v1/sandboxes").status == 200)
        }
    }

    @Test func zeroIsNoLimit() async throws {
        try await world(credential: 0, address: 0).withAPI { api async throws in
            for _ in 0..<20 {
                let reply = try await api.send(.get, "/v1/sandboxes")
                #expect(reply.status == 200)
                #expect(reply.headers.whole("RateLimit-Limit") == nil)
            }
        }
    }
}

extension HTTPFields {
    /// The field as a whole number without sign.
    fileprivate func whole(_ name: String) -> Int? {
        self[HTTPField.Name(name)!].flatMap { $0.allSatisfy(\.isNumber) ? Int($0) : nil }
    }
}
