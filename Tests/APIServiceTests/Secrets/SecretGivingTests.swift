import APIContract
import APIService
import ComputeCore
import ComputeDomain
import ComputeRuntime
import EventSourcing
import HTTPTypes
import SecretSealing
import SidekickProtocol
import TestSupport
import Testing

/// What of the group's secrets a compute gets with its claim.
struct SecretGivingTests {
    private static let developer = Caller(
        group: .default, metadata: EventMetadata(actor: "key:test"), authority: Authority(role: .developer))

    private func order(_ world: World) throws -> ClaimOrder {
        try #require(world.sidekicks.claimedMembers.compactMap(world.sidekicks.claim(of:)).first)
    }

    @Test(arguments: [true, false]) func aClaimCarriesWhatTheCreateNames(fromPool: Bool) async throws {
        let world = World(poolSize: fromPool ? 1 : 0)
        try await world.withAPI { api async throws in
            _ = try await api.send(.put, "/v1/secrets/token", #"{"value":"one"}"#)
            _ = try await api.send(.put, "/v1/secrets/token", #"{"value":"two"}"#)
            _ = try await api.send(.put, "/v1/secrets/key", #"{"valueBase64":"AP8="}"#)
            let made = try await api.create(
                #"""
                {"envs":{"A":"b"},"secrets":[{"name":"token","env":"TOKEN"},{"name":"token","version":1,"env":"OLD"},
                {"name":"key","path":"/run/secrets/key"},{"name":"token","path":"/home/user/t","mode":"0440"}]}
                """#)
            #expect(made.status == 200, "\(made.text)")
            let order = try order(world)
            #expect(order.env == ["A": "b", "TOKEN": "two", "OLD": "one"])
            #expect(
                order.secretFiles == [
                    SecretFile(path: "/run/secrets/key", mode: 0o400, content: [0, 255]),
                    SecretFile(path: "/home/user/t", mode: 0o440, content: Array("two".utf8)),
                ])
            let requested = try await world.store.events(of: .compute(order.computeId)).first
            let spec = try #require(requested.flatMap { try? Compute.state(after: [$0]).spec })
            #expect(spec.secretNames == ["key", "token"] && spec.envNames == ["A"])
        }
    }

    /// It may have waited for most of its time.
    @Test func whatIsGivenIsReadWhenItsTurnHasCome() async throws {
        let world = World(abilities: [.network]) { $0.claimTurns = .init(places: 2, placesOfOne: 1) }
        let gate = Gate()
        world.runtime.set { $0.beforeNetwork = { _ in await gate.pass() } }
        try await world.withAPI { api async throws in
            _ = try await api.send(.put, "/v1/secrets/token", #"{"value":"one"}"#)
            async let first = api.create(#"{"network":{"internet":false}}"#)
            #expect(await eventually { gate.waiting == 1 })
            async let second = api.create(#"{"secrets":[{"name":"token","env":"TOKEN"}]}"#)
            #expect(await eventually { world.service.claimTurns.waiting == 1 })
            #expect(try await api.send(.put, "/v1/secrets/token", #"{"value":"two"}"#).status == 200)
            gate.open()
            let made = try await [first, second]
            #expect(made.map(\.status) == [200, 200])
            let id = try #require(ComputeID(made[1].sandboxID))
            let member = try #require(try await world.store.inner.summary(id, in: nil)?.member)
            #expect(world.sidekicks.claim(of: member)?.env == ["TOKEN": "two"])
        }
    }

    @Test func whatCannotBeGivenIsRefusedByItsFieldAndNothingIsLeft() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            _ = try await api.send(.put, "/v1/secrets/a", #"{"value":"x"}"#)
            _ = try await api.send(.put, "/v1/secrets/bytes", #"{"valueBase64":"/w=="}"#)
            _ = try await api.send(.put, "/v1/secrets/nul", #"{"valueBase64":"AA=="}"#)
            let many = Array(repeating: #"{"name":"a","path":"/x"}"#, count: 33).joined(separator: ",")
            for (secrets, field) in [
                (#"{"name":"b","env":"B"}"#, "secrets[0].name"),
                (#"{"name":"a","version":2,"env":"B"}"#, "secrets[0].version"),
                (#"{"name":"a","version":0,"env":"B"}"#, "secrets[0].version"),
                (#"{"name":"a"}"#, "secrets[0].env"), (#"{"name":"a","env":"A","path":"/a"}"#, "secrets[0].env"),
                (#"{"name":"a","env":"1A"}"#, "secrets[0].env"), (#"{"name":"a","env":"E"}"#, "secrets[0].env"),
                (#"{"name":"a","env":"B"},{"name":"a","env":"B"}"#, "secrets[1].env"),
                (#"{"name":"a","env":"B","mode":"0400"}"#, "secrets[0].mode"),
                (#"{"name":"a","path":"a"}"#, "secrets[0].path"),
                (#"{"name":"a","path":"/a/../b"}"#, "secrets[0].path"),
                (#"{"name":"a","path":"/"}"#, "secrets[0].path"),
                (#"{"name":"a","path":"/a"},{"name":"a","path":"/a"}"#, "secrets[1].path"),
                (#"{"name":"a","path":"/a","mode":400}"#, "secrets[0].mode"),
                (#"{"name":"a","path":"/a","mode":"4777"}"#, "secrets[0].mode"),
                (#"{"name":"bytes","env":"B"}"#, "secrets[0].env"), (#"{"name":"nul","env":"B"}"#, "secrets[0].env"),
                (#""a""#, "secrets[0]"), (many, "secrets"),
            ] {
                for name in ["", #","name":"n""#] {
                    let reply = try await api.create(#"{"envs":{"E":"1"},"secrets":[\#(secrets)]\#(name)}"#)
                    #expect(reply.status == 400 && reply["field"] == .string(field), "\(secrets): \(reply.text)")
                }
            }
            #expect(try await world.livingCount() == 0)
            #expect(world.sidekicks.claimedMembers.isEmpty)
        }
    }

    @Test func environmentAndSecretsTogetherAreBounded() async throws {
        try await World().withAPI { api async throws in
            let half = String(repeating: "x", count: 40_000)
            _ = try await api.send(.put, "/v1/secrets/a", #"{"value":"\#(half)"}"#)
            let reply = try await api.create(#"{"envs":{"E":"\#(half)"},"secrets":[{"name":"a","env":"A"}]}"#)
            #expect(reply.status == 400 && reply["field"] == .string("secrets"), "\(reply.text.prefix(200))")
            #expect(try await api.create(#"{"secrets":[{"name":"a","env":"A"}]}"#).status == 200)
        }
    }

    @Test func aFileThatTheComputeCannotHaveIsTheCallersProblem() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            _ = try await api.send(.put, "/v1/secrets/a", #"{"value":"x"}"#)
            world.sidekicks.set { $0.refusedField = "secretFiles" }
            let reply = try await api.create(#"{"secrets":[{"name":"a","path":"/proc/a"}]}"#)
            #expect(reply.status == 400 && reply["field"] == .string("secrets"), "\(reply.text)")
            #expect(try await world.livingCount() == 0)
        }
    }

    @Test func aRepeatIsAnsweredAlthoughTheSecretIsGone() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            _ = try await api.send(.put, "/v1/secrets/a", #"{"value":"x"}"#)
            let body = #"{"name":"n","secrets":[{"name":"a","env":"A"}]}"#
            let first = try await api.send(.post, "/v1/sandboxes/find-or-create", body)
            _ = try await api.send(.delete, "/v1/secrets/a")
            let again = try await api.send(.post, "/v1/sandboxes/find-or-create", body)
            #expect(again.status == 200 && again.sandboxID == first.sandboxID, "\(again.text)")
        }
    }

    // MARK: - Who may

    @Test func aConfinedCredentialGivesNoSecretsWithoutTheScopeForIt() async throws {
        let world = World(poolSize: 0)
        try await world.withAPI { api async throws in
            _ = try await api.send(.put, "/v1/secrets/a", #"{"value":"x"}"#)
            for (authority, isGiven) in [
                (Authority(role: .developer), true),
                (Authority(role: .developer, scopes: [.sandboxesWrite, .secretsUse]), true),
                (Authority(role: .developer, scopes: [.sandboxesWrite]), false),
                (Authority(role: .owner, scopes: [.sandboxesWrite, .secretsRead, .secretsWrite]), false),
            ] {
                let confined = API(client: api.client, key: try await world.key(of: "default", authority))
                let before = try await world.livingCount()
                let named = #","name":"n\#(String.randomLabel(length: 9))""#
                for (path, name) in [("", ""), ("/find-or-create", named)] {
                    let body = #"{"secrets":[{"name":"a","env":"A"}]\#(name)}"#
                    let reply = try await confined.send(.post, "/v1/sandboxes\(path)", body)
                    #expect(reply.status == (isGiven ? 200 : 403), "\(authority): \(reply.text)")
                    if !isGiven { #expect(reply["field"] == .string("secrets")) }
                    // One that there is not is told to nobody who may not have it.
                    let unknown = try await confined.send(
                        .post, "/v1/sandboxes\(path)", body.replacing(#""name":"a""#, with: #""name":"b""#))
                    #expect(isGiven || unknown["message"] == reply["message"] && unknown.status == 403)
                }
                #expect(try await world.livingCount() == before + (isGiven ? 2 : 0))
                #expect(try await confined.create().status == 200, "without secrets it is a create like any other")
            }
        }
    }

    // MARK: - Master keys

    @Test func rotationRewrapsEverythingAndThenTheOldKeyIsNotNeeded() async throws {
        let (old, new) = (MasterKeys.randomLine("old"), MasterKeys.randomLine("new"))
        let store = FaultyStore()
        func world(_ lines: String...) throws -> World {
            World(store: store, masterKeys: try MasterKeys(parsing: lines.joined(separator: "\n")))
        }
        let caller = World(store: store).caller
        for index in 0..<120 {
            _ = try await world(old).server.secrets.write(
                SecretBytes(Array("v\(index)".utf8)), to: SecretName("s\(index)")!, isNew: true, for: caller)
        }
        let both = try await SecretRewrapping(service: world(new, old).server.secrets).pass()
        #expect(both.rewrapped == 120 && both.unreadable == 0)
        #expect(try await SecretRewrapping(service: world(new, old).server.secrets).pass().rewrapped == 0)
        let after = try world(new)
        _ = try await after.service.create(
            CreateSandbox(giving: [GivenSecret(name: SecretName("s7")!, form: .env("S"))]), for: Self.developer)
        #expect(try order(after).env == ["S": "v7"])
    }

    @Test func withoutItsMasterKeyASecretIsUnavailableAndRewrappingGoesOnWithTheOthers() async throws {
        let store = FaultyStore()
        let old = World(store: store, masterKeys: .random("old"))
        let other = World(store: store, masterKeys: try MasterKeys(parsing: MasterKeys.randomLine("new")))
        let name = SecretName("a")!
        _ = try await old.server.secrets.write(SecretBytes([1]), to: name, isNew: true, for: old.caller)
        let request = CreateSandbox(giving: [GivenSecret(name: name, form: .env("S"))])
        let problem = await #expect(throws: Problem.self) {
            try await other.service.create(request, for: Self.developer)
        }
        #expect(problem?.status == 503)
        let pass = try await SecretRewrapping(service: other.server.secrets).pass()
        #expect(pass.rewrapped == 0 && pass.unreadable == 1)
        #expect(try await other.livingCount() == 0)
    }
}

extension CreateSandbox {
    fileprivate init(giving secrets: [GivenSecret]) {
        self.init()
        self.secrets = secrets
    }
}
