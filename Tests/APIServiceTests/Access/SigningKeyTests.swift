import APIService
import Auth
import ComputeCore
import ComputeDomain
import Crypto
import EventSourcing
import HTTPTypes
import Synchronization
import TestSupport
import Testing

struct SigningKeyTests {
    @Test func theKeySetIsPublicAndCarriesEveryKeyThatTokensVerifyAgainst() async throws {
        let world = World(signingKeys: KeptKeys())
        try await world.withAPI { api async throws in
            let before = try await api.send(.get, "/.well-known/jwks.json", authenticated: false)
            #expect(before.status == 200 && before.headers[.cacheControl] == "public, max-age=300")
            let key = world.ports.tokens.publicKey
            #expect(
                before["keys"]
                    == .array([
                        .object([
                            "kty": .string("OKP"), "crv": .string("Ed25519"), "use": .string("sig"),
                            "alg": .string("EdDSA"), "kid": .string(key.kid), "x": .string(key.x),
                        ])
                    ]))
            let old = try await api.create()["data", "token"]?.text ?? ""
            let session =
                try await api.send(.post, "/v1/sessions", #"{"expiresIn":86400}"#)["data", "token"]?.text ?? ""
            let rotated = try await api.send(.post, "/v1/signing-keys")
            #expect(rotated.status == 200 && rotated.list.count == 2)
            #expect(rotated.text.contains(#""state":"announced""#) && rotated.text.contains(#""state":"signing""#))
            let after = try await api.send(.get, "/.well-known/jwks.json", authenticated: false)
            guard case .array(let keys)? = after["keys"] else { throw Missing() }
            #expect(keys.count == 2)
            world.clock.advance(by: SigningKeys.announcement)
            #expect(try await api.send(.get, "/v1/signing-keys").text.contains(#""state":"retired""#))
            let new = try await api.create()["data", "token"]?.text ?? ""
            for token in [old, new] {
                _ = try await world.ports.tokens.verifier.verify(token, now: world.clock.now())
            }
            #expect(old.split(separator: ".")[0] != new.split(separator: ".")[0], "another key signs")
            let holder = API(client: api.client, key: session)
            #expect(try await holder.send(.get, "/v1/sandboxes").status == 200, "sessions go on")
            #expect(try await api.send(.post, "/v1/signing-keys", #"{"withdraw":true}"#).list.count == 1)
            #expect(try await holder.send(.get, "/v1/sandboxes").status == 401, "a withdrawn key signs for nobody")
        }
    }

    @Test func keysAreRotatedWhenItIsTimeAndByAnyInstance() async throws {
        let kept = KeptKeys()
        let world = World(signingKeys: kept) { $0.signingPeriod = .seconds(86_400) }
        try kept.save(SigningKeys(only: SigningKey(world.signingKey, from: world.clock.now())))
        let rotation = world.server.signingKeys
        await rotation.look()
        #expect(world.ports.tokens.keys.all.count == 1)
        world.clock.advance(by: .seconds(86_400))
        await rotation.look()
        await rotation.look()
        #expect(world.ports.tokens.keys.all.count == 2, "once")
        // Another instance's.
        let next = world.ports.tokens.keys.adding(.init(), now: world.clock.now())
        try kept.save(next)
        await rotation.look()
        #expect(world.ports.tokens.keys.all.count == 3)
        // What cannot be written down is not used.
        kept.fail()
        await #expect(throws: Problem.self) { try await rotation.rotate(withdrawsOld: true) }
        #expect(world.ports.tokens.keys.all.count == 3)
    }

    @Test func everyChangeOfKeysIsOnRecordWithWhoMadeIt() async throws {
        let kept = KeptKeys()
        let world = World(signingKeys: kept) { $0.signingPeriod = .seconds(86_400) }
        try kept.save(SigningKeys(only: SigningKey(world.signingKey, from: world.clock.now())))
        try await world.withAPI { api async throws in
            let headers: HTTPFields = [HTTPField.Name("X-Request-Id")!: "my-request"]
            #expect(try await api.send(.post, "/v1/signing-keys", "{}", headers: headers).status == 200)
            #expect(
                try await api.send(.post, "/v1/signing-keys", #"{"withdraw":true}"#, headers: headers).status == 200)
            let last = world.ports.tokens.keys.all.last?.publicKey.kid ?? ""
            world.clock.advance(by: .seconds(86_400))
            await world.server.signingKeys.look()
            let log = try await world.store.events(after: nil, matching: EventFilter(), limit: 1000).events
            let changes = log.filter { $0.type == "SigningKeyAnnounced" }
            #expect(changes.map { $0.metadata.actor.hasPrefix("key:") } == [true, true, false])
            #expect(changes.map(\.metadata.requestID) == ["my-request", "my-request", nil])
            #expect(changes[2].metadata.actor == "system")
            #expect(changes[1].data == .object(["kid": .string(last), "withdrawsOthers": .bool(true)]))
            // What cannot be put on record is not done.
            let before = world.ports.tokens.keys.all.count
            world.store.failCommits { $0.types == ["SigningKeyAnnounced"] }
            #expect(try await api.send(.post, "/v1/signing-keys").status == 503)
            #expect(world.ports.tokens.keys.all.count == before)
        }
    }

    @Test func withoutAPlaceToKeepThemKeysNeverChange() async throws {
        try await World().withAPI { api async throws in
            #expect(try await api.send(.post, "/v1/signing-keys").status == 409)
            let bad = try await api.send(.post, "/v1/signing-keys", #"{"withdraw":"yes"}"#)
            #expect(bad.status == 400 && bad["field"] == .string("withdraw"))
        }
    }

    struct Missing: Error {}
}

/// Signing keys in memory.
final class KeptKeys: SigningKeyStore {
    struct Full: Error {}
    private let state = Mutex<(keys: SigningKeys?, fails: Bool)>((nil, false))

    func load() throws -> SigningKeys? { state.withLock { $0.keys } }
    func save(_ keys: SigningKeys) throws {
        try state.withLock { state in
            guard !state.fails else { throw Full() }
            state.keys = keys
        }
    }
    func fail() { state.withLock { $0.fails = true } }
}
