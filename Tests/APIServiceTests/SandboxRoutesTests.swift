import APIContract
import APIService
import Auth
import ComputeCore
import Crypto
import HTTPTypes
import HummingbirdTesting
import TestSupport
import Testing

struct SandboxRoutesTests {
    @Test func createAnswersWhatTheClientsNeed() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            let reply = try await api.create(#"{"metadata":{"a":1},"envs":{"A":"b"},"name":"n","timeout":60000}"#)
            #expect(reply.status == 200)
            #expect(reply["success"] == .bool(true))
            #expect(reply["data", "url"] == .string("http://\(reply.sandboxID).localhost:8080"))
            #expect(reply["data", "provider"] == .string("computesdk"))
            #expect(reply["data", "status"] == .string("running"))
            #expect(reply["data", "name"] == .string("n"))
            #expect(reply["data", "namespace"] == .string("default"))
            #expect(reply["data", "metadata"] == .object(["a": .int(1)]))
            #expect(reply.headers[HTTPField.Name("X-Request-Id")!] != nil)
            #expect(
                reply["data", "expiresAt"] == .string((world.clock.now() + .seconds(60)).rfc3339))
            let token = try #require(reply["data", "token"]?.text)
            let verified = try await TokenVerifier(keys: [world.ports.tokens.publicKey]).verify(
                token, now: world.clock.now())
            #expect(verified.computeID.rawValue == reply.sandboxID)
            #expect(verified.kind == .access)
        }
    }

    @Test func whoAsksAgainWithinAMinuteHasTheSameTokenUnlessItsKeyIsGone() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            let created = try await api.create()
            let path = "/v1/sandboxes/\(created.sandboxID)"
            func token() async throws -> String {
                let reply = try await api.send(.get, path)
                return try #require(reply["data", "token"]?.text)
            }
            let first = try await token()
            #expect(first == created["data", "token"]?.text)
            world.clock.advance(by: .milliseconds(59_999))
            #expect(try await token() == first)
            world.clock.advance(by: .milliseconds(1))
            let second = try await token()
            #expect(second != first)
            // What the old key signed is good for nothing from now on.
            let key = SigningKey(Curve25519.Signing.PrivateKey(), from: world.clock.now())
            world.ports.tokens.use(SigningKeys(only: key))
            let third = try await token()
            #expect(third != second)
            let claims = try await world.ports.tokens.verifier.verify(third, now: world.clock.now())
            #expect(claims.computeID.rawValue == created.sandboxID)

            let other = try await api.create()
            #expect(other["data", "token"] != .string(third), "each sandbox has its own")
        }
    }

    @Test func anEmptyBodyIsAnEmptyObject() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            #expect(try await api.send(.post, "/v1/sandboxes").status == 200)
            #expect(try await api.send(.post, "/v1/sandbox").status == 200)
        }
    }

    @Test func aSandboxIsFoundListedExtendedAndDeleted() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            let id = try await api.create(#"{"name":"web","timeout":1000}"#).sandboxID
            for base in ["/v1/sandboxes", "/v1/sandbox"] {
                let got = try await api.send(.get, "\(base)/\(id)")
                #expect(got.status == 200)
                #expect(got["data", "token"]?.text?.isEmpty == false)
            }
            let found = try await api.send(.post, "/v1/sandboxes/find", #"{"name":"web"}"#)
            #expect(found.sandboxID == id)
            let list = try await api.send(.get, "/v1/sandboxes")
            #expect(list.list.count == 1)
            #expect(list["next"] == nil)
            let extended = try await api.send(.post, "/v1/sandboxes/\(id)/extend", #"{"duration":5000}"#)
            #expect(extended["data", "expiresAt"] == .string((world.clock.now() + .seconds(6)).rfc3339))
            let more = try await api.send(.post, "/v1/sandboxes/\(id)/extend")
            #expect(more["data", "expiresAt"] == .string((world.clock.now() + .seconds(906)).rfc3339))
            let deleted = try await api.send(.delete, "/v1/sandboxes/\(id)")
            #expect(deleted.status == 200)
            #expect(deleted["data"] == .object([:]))
            #expect(try await api.send(.get, "/v1/sandboxes/\(id)").status == 404)
            #expect(try await api.send(.delete, "/v1/sandboxes/\(id)").status == 404)
            #expect(try await api.send(.post, "/v1/sandboxes/\(id)/extend").status == 404)
            #expect(try await api.send(.get, "/v1/sandboxes").list.isEmpty)
            #expect(try await api.send(.get, "/v1/sandboxes?state=ended").list.count == 1)
        }
        #expect(try await world.claimedPlaces == 0)
        #expect(try await world.livingCount() == 0)
    }

    @Test func aMissIsNullAndNotAnError() async throws {
        try await World().withAPI { api async throws in
            let reply = try await api.send(.post, "/v1/sandboxes/find", #"{"name":"nobody"}"#)
            #expect(reply.status == 200)
            #expect(reply["data"] == .null)
            #expect(reply.text.contains(#""data":null"#))
        }
    }

    @Test func listsComeInPages() async throws {
        try await World(poolSize: 5).withAPI { api async throws in
            var made: Set<String> = []
            for _ in 0..<5 { made.insert(try await api.create().sandboxID) }
            var seen: [String] = []
            var path = "/v1/sandboxes?limit=2"
            while true {
                let page = try await api.send(.get, path)
                seen += page.list.compactMap { if case .object(let f) = $0 { f["sandboxId"]?.text } else { nil } }
                guard let next = page["next"]?.text else { break }
                path = "/v1/sandboxes?limit=2&cursor=\(next)"
            }
            #expect(seen.count == 5)
            #expect(Set(seen) == made)
        }
    }

    @Test func aNameThatIsTakenIsAConflictOfThatField() async throws {
        try await World().withAPI { api async throws in
            _ = try await api.create(#"{"name":"web"}"#)
            let reply = try await api.create(#"{"name":"web"}"#)
            #expect(reply.status == 409)
            #expect(reply["field"] == .string("name"))
            #expect(try await api.create(#"{"name":"web","namespace":"other"}"#).status == 200)
        }
    }

    // MARK: - Who may

    @Test(
        arguments: [
            [:], ["X-ComputeSDK-API-Key": "csdk_0000000000000000000000000000000000000000"],
            ["X-ComputeSDK-API-Key": ""],
            ["Authorization": "Bearer"], ["Authorization": "Bearer nonsense"], ["Authorization": "Basic YTpi"],
        ] as [[String: String]])
    func withoutAValidKeyThereIsNothing(_ given: [String: String]) async throws {
        var headers = HTTPFields()
        for (name, value) in given { headers[HTTPField.Name(name)!] = value }
        let sent = headers
        try await World().withAPI { api async throws in
            for (method, path) in [
                (HTTPRequest.Method.post, "/v1/sandboxes"), (.get, "/v1/sandboxes"), (.get, "/v1/events"),
            ] {
                let reply = try await api.send(method, path, headers: sent, authenticated: false)
                #expect(reply.status == 401)
                #expect(reply["code"] == .string("unauthenticated"))
            }
        }
    }

    @Test func theKeyMayComeAsBearer() async throws {
        try await World().withAPI { api async throws in
            let reply = try await api.send(
                .get, "/v1/sandboxes", headers: [.authorization: "Bearer \(api.key)"], authenticated: false)
            #expect(reply.status == 200)
        }
    }

    @Test func aRevokedKeyStopsAtOnce() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            #expect(try await api.send(.get, "/v1/sandboxes").status == 200)
            let own = try await api.send(.get, "/v1/keys").list.first?["keyId"]?.text ?? ""
            #expect(try await api.send(.delete, "/v1/keys/\(own)").status == 200)
            #expect(try await api.send(.get, "/v1/sandboxes").status == 401)
        }
    }

    @Test func anotherGroupsSandboxDoesNotExist() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            let id = try await api.create(#"{"name":"web"}"#).sandboxID
            let other = API(client: api.client, key: try await world.key(of: "other"))
            #expect(try await other.send(.get, "/v1/sandboxes/\(id)").status == 404)
            #expect(try await other.send(.delete, "/v1/sandboxes/\(id)").status == 404)
            #expect(try await other.send(.post, "/v1/sandboxes/\(id)/extend").status == 404)
            #expect(try await other.send(.get, "/v1/events?sandboxId=\(id)").status == 404)
            let seen = try await other.send(.get, "/v1/events").list
            #expect(seen.map { $0["type"] } == [.string("APIKeyCreated")], "its own key's")
            #expect(try await other.send(.get, "/v1/sandboxes").list.isEmpty)
            #expect(try await other.send(.post, "/v1/sandboxes/find", #"{"name":"web"}"#)["data"] == .null)
            #expect(try await other.create(#"{"name":"web"}"#).status == 200)
        }
    }

    // MARK: - Garbage

    @Test(arguments: [
        "[]", "1", "\"x\"", "{", "{\"name\":}", "nul", "{\"a\":1,\"a\":2}", "{\"timeout\":1e999}", "{\"timeout\":-1}",
        "{\"timeout\":99999999999999999999999999}", "{\"name\":\"'; DROP TABLE events; --\"}", "{\"name\":{}}",
        "{\"envs\":[1]}", "{\"metadata\":\"\u{0}\"}", "{\"image\":\"x\"}", "\u{FEFF}{}",
        String(repeating: "[", count: 50_000),
    ]) func garbageIsA400(_ body: String) async throws {
        let world = World()
        try await world.withAPI { api async throws in
            for path in ["/v1/sandboxes", "/v1/sandboxes/find-or-create"] {
                let reply = try await api.send(.post, path, body)
                #expect(reply.status == 400)
                #expect(reply["success"] == .bool(false))
                #expect(reply["status"] == .string("error"))
                #expect(reply["error"] == reply["message"])
                #expect(reply["requestId"]?.text == reply.headers[HTTPField.Name("X-Request-Id")!])
            }
        }
        #expect(try await world.claimedPlaces == 0)
    }

    @Test func hugeBodiesAre413() async throws {
        try await World().withAPI { api async throws in
            let body = #"{"x":""# + String(repeating: "x", count: 1 << 20) + #""}"#
            #expect(try await api.create(body).status == 413)
        }
    }

    @Test(arguments: [
        "/v1/sandboxes?limit=0", "/v1/sandboxes?limit=x", "/v1/sandboxes?limit=1001", "/v1/sandboxes?state=x",
        "/v1/sandboxes?cursor=zzz", "/v1/events?after=zzz", "/v1/events?limit=-1",
    ]) func badQueriesAreA400ThatNamesTheParameter(_ path: String) async throws {
        try await World().withAPI { api async throws in
            let reply = try await api.send(.get, path)
            #expect(reply.status == 400)
            #expect(reply["field"]?.text.map { path.contains("?\($0)=") } == true)
        }
    }

    @Test(arguments: [
        "/", "/v2", "/v1/sandboxes/a/b/c", "/v1/sandboxes/%2e%2e", "/v1/sandboxes/x'--", "/internal/v1/keys",
    ])
    func unknownPathsAre404InTheOneBody(_ path: String) async throws {
        try await World().withAPI { api async throws in
            let reply = try await api.send(.get, path)
            #expect(reply.status == 404)
            #expect(reply["code"] == .string("not_found"))
            #expect(reply.headers[HTTPField.Name("X-Request-Id")!] != nil)
        }
    }

    @Test func wrongMethodsAre405() async throws {
        try await World().withAPI { api async throws in
            for (method, path) in [
                (HTTPRequest.Method.put, "/v1/sandboxes"), (.get, "/v1/sandboxes/find"), (.post, "/health"),
                (.post, "/v1/sandboxes/abcdefgh12"),
            ] {
                let reply = try await api.send(method, path)
                #expect(reply.status == 405)
                #expect(reply["code"] == .string("method_not_allowed"))
            }
        }
    }

    // MARK: - Health

    @Test func readyMeansThatACreateWouldSucceed() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            #expect(try await api.send(.get, "/health", authenticated: false).status == 200)
            #expect(try await api.send(.get, "/ready", authenticated: false).status == 200)
        }
        let broken = World()
        broken.store.failCommits { _ in true }
        broken.runtime.set { $0.unreadyReason = "no room" }
        try await broken.server.publicApplication.test(.router) { client async throws in
            let api = API(client: client, key: "")
            let reply = try await api.send(.get, "/ready", authenticated: false)
            #expect(reply.status == 503)
            #expect(reply["reasons"] == .array([.string("the database is not available"), .string("no room")]))
            #expect(try await api.send(.get, "/health", authenticated: false).status == 200)
        }
    }

    @Test func anInternalErrorTellsNothing() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            world.store.failCommits { _ in true }
            let reply = try await api.create()
            #expect(reply.status == 503)
            #expect(!reply.text.contains("told to fail"))
            #expect(reply.headers[HTTPField.Name("Retry-After")!] == "1")
        }
    }
}
