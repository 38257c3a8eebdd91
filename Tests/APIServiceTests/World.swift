import APIContract
import APIService
import Auth
import ComputeCore
import ComputeDomain
import ComputeRuntime
import Crypto
import EventSourcing
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore
import SecretSealing
import SidekickProtocol
import Synchronization
import TestSupport
import Testing

/// The API on doubles.
struct World: Sendable {
    let clock = FakeClock()
    let store: FaultyStore
    let runtime: InMemoryRuntime
    let sidekicks: InMemorySidekicks
    let signingKey = Curve25519.Signing.PrivateKey()
    let sidekickKey = SymmetricKey(size: .bits256)
    let logs = CapturedLogs()
    let receivers = InMemoryReceivers()
    let server: APIServer
    let ports: APIPorts
    let settings: APISettings

    init(
        poolSize: Int = 3, abilities: RuntimeAbilities = [], store: FaultyStore = FaultyStore(),
        masterKeys: MasterKeys = .random("first"), signingKeys: (any SigningKeyStore)? = nil,
        issuer: (any DocumentSource)? = nil, _ change: (inout APISettings) -> Void = { _ in }
    ) {
        self.store = store
        runtime = InMemoryRuntime(poolSize: poolSize, abilities: abilities, clock: clock)
        sidekicks = InMemorySidekicks(of: runtime)
        var settings = APISettings(
            listen: .tcp(host: "127.0.0.1", port: 0), internalListen: .tcp(host: "127.0.0.1", port: 0),
            urls: PublicURLs(style: .host, scheme: "http", domain: "localhost", port: 8080))
        // Nobody waits for these when all is well, however crowded the machine is.
        settings.coldStartDeadline = .seconds(10)
        settings.claimTimeout = .seconds(10)
        // The clock stands still, so no bucket ever fills; tests of limits set them.
        settings.rateLimits = .off
        change(&settings)
        self.settings = settings
        var ports = APIPorts(
            store: store, summaries: store.inner, sessions: store.inner, access: store.inner, runtime: runtime,
            sidekicks: sidekicks, clock: clock, tokens: TokenSigner(signingKey), sidekickKey: sidekickKey,
            webhooks: WebhookPorts(webhooks: store.inner, consumers: store.inner, sender: receivers),
            secrets: SecretPorts(records: store.inner, masterKeys: masterKeys), filesystems: store.inner,
            templates: store.inner, pools: store.inner,
            usage: store.inner)
        ports.signingKeys = signingKeys
        ports.issuer = issuer.map { [clock] in
            ExternalIssuer(issuer: TestIssuer.url, audience: "computesdk", source: $0, clock: clock)
        }
        self.ports = ports
        var logger = Logger(label: "test") { [logs] _ in logs }
        logger.logLevel = .trace
        server = APIServer(ports: ports, settings: settings, startedAt: clock.now(), logger: logger)
    }

    var service: ComputeService { server.compute }
    let caller = Caller(group: .default, metadata: EventMetadata(actor: "key:test"))

    func livingCount() async throws -> Int64 { try await store.counter(.computes(in: .default)) }
    var claimedPlaces: Int {
        get async throws { try await runtime.places().filter { !$0.isIdle }.count }
    }

    /// Runs `test` against the public API with a valid key.
    func withAPI(_ test: @escaping @Sendable (API) async throws -> Void) async throws {
        let key = try await server.keys.bootstrap(preset: nil)
        try await server.publicApplication.test(.router) { client async throws in
            try await test(API(client: client, key: key ?? ""))
        }
    }
}

struct API: Sendable {
    let client: any TestClientProtocol
    let key: String

    func send(
        _ method: HTTPRequest.Method, _ path: String, _ body: String? = nil, headers: HTTPFields = [:],
        authenticated: Bool = true
    ) async throws -> Reply {
        var headers = headers
        if authenticated { headers[HTTPField.Name("X-ComputeSDK-API-Key")!] = key }
        return try await client.execute(
            uri: path, method: method, headers: headers, body: body.map { ByteBuffer(string: $0) }
        ) { response in
            Reply(
                status: response.status.code, headers: response.headers, bytes: Array(response.body.readableBytesView))
        }
    }

    /// With nothing but these values of one field for a credential.
    func send(
        _ method: HTTPRequest.Method, _ path: String, doubling name: String, _ values: [String]
    ) async throws -> Reply {
        var headers = HTTPFields()
        for value in values { headers.append(HTTPField(name: HTTPField.Name(name)!, value: value)) }
        return try await send(method, path, headers: headers, authenticated: false)
    }

    func create(_ body: String = "{}", headers: HTTPFields = [:]) async throws -> Reply {
        try await send(.post, "/v1/sandboxes", body, headers: headers)
    }
}

struct Reply: Sendable {
    let status: Int
    let headers: HTTPFields
    let bytes: [UInt8]

    var text: String { String(decoding: bytes, as: UTF8.self) }
    var json: JSONValue { (try? JSONDocument.parse(bytes)) ?? .null }
    subscript(_ path: String...) -> JSONValue? {
        path.reduce(Optional(json)) { value, key in
            guard case .object(let fields)? = value else { return nil }
            return fields[key]
        }
    }
    var sandboxID: String {
        if case .string(let id)? = self["data", "sandboxId"] { id } else { "" }
    }
    var list: [JSONValue] { if case .array(let values)? = self["data"] { values } else { [] } }
}

final class FakeClock: WallClock {
    private let time = Mutex(WallTime(milliseconds: 1_800_000_000_000))
    func now() -> WallTime { time.withLock { $0 } }
    func advance(by duration: Duration) { time.withLock { $0 = $0 + duration } }
}

/// The in-memory store with commits that fail when told so.
final class FaultyStore: EventStore {
    let inner = InMemoryEventStore()
    private let failing = Mutex<(@Sendable (Commit) -> Bool)?>(nil)
    private let delaying = Mutex<(@Sendable () async -> Void)?>(nil)

    /// Each commit waits for that first.
    func delayCommits(_ wait: (@Sendable () async -> Void)?) { delaying.withLock { $0 = wait } }
    func failCommits(_ which: (@Sendable (Commit) -> Bool)?) { failing.withLock { $0 = which } }

    func commit(_ commit: Commit) async throws(EventStoreError) -> CommitOutcome {
        await delaying.withLock({ $0 })?()
        if failing.withLock({ $0 })?(commit) == true { throw EventStoreError(.unavailable, "told to fail") }
        return try await inner.commit(commit)
    }
    func events(of stream: StreamID) async throws(EventStoreError) -> [RecordedEvent] {
        try await inner.events(of: stream)
    }
    func events(after cursor: Cursor?, matching filter: EventFilter, limit: Int) async throws(EventStoreError)
        -> EventPage
    { try await inner.events(after: cursor, matching: filter, limit: limit) }
    func waitForEvents(after cursor: Cursor?, timeout: Duration) async {
        await inner.waitForEvents(after: cursor, timeout: timeout)
    }
    func version(of stream: StreamID) async throws(EventStoreError) -> Int { try await inner.version(of: stream) }
    func holder(of key: UniqueKey) async throws(EventStoreError) -> UniqueHold? { try await inner.holder(of: key) }
    func counter(_ name: CounterName) async throws(EventStoreError) -> Int64 { try await inner.counter(name) }
    func counters(in group: GroupID) async throws(EventStoreError) -> [String: CounterState] {
        try await inner.counters(in: group)
    }
    func privateRow(kind: String, key: String) async throws(EventStoreError) -> PrivateRow? {
        try await inner.privateRow(kind: kind, key: key)
    }
}

extension Commit {
    /// The types of all its events.
    var types: [String] { appends.flatMap { $0.events.map(\.type) } }
}

final class CapturedLogs: LogHandler {
    private let lines = Mutex<[String]>([])
    var all: [String] { lines.withLock { $0 } }

    func log(event: LogEvent) {
        let text = "\(event.level) \(event.message) \(event.metadata ?? [:])"
        lines.withLock { $0.append(text) }
    }
    subscript(metadataKey _: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }
    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    var logLevel: Logger.Level {
        get { .trace }
        set {}
    }
}

extension JSONValue {
    subscript(_ key: String) -> JSONValue? { if case .object(let fields) = self { fields[key] } else { nil } }
    var text: String? { if case .string(let text) = self { text } else { nil } }
}

extension World {
    /// The public API with a valid key of that group.
    func withAPI(as group: GroupID, _ test: @escaping @Sendable (API) async throws -> Void) async throws {
        let key = try await key(of: group.rawValue)
        try await server.publicApplication.test(.router) { client async throws in
            try await test(API(client: client, key: key))
        }
    }

    func make(group: String) async throws {
        _ = try await store.commit(
            Commit(
                appends: [
                    StreamAppend(
                        stream: .group(GroupID(group)), group: GroupID(group), expectedVersion: 0,
                        events: [GroupEvent.created(name: group).recorded])
                ], metadata: .system, occurredAt: clock.now()))
    }

    /// A valid key of another group.
    func key(
        of group: String, _ authority: Authority = Authority(role: .owner), member: String? = nil
    ) async throws -> String {
        let (key, id) = (APIKey.random(), String.randomLabel(length: 12))
        let grant = KeyGrant(id: id, label: "test", prefix: key.prefix, authority: authority, member: member)
        _ = try await store.commit(
            Commit(
                appends: [
                    StreamAppend(
                        stream: .apiKey(id), group: GroupID(group), expectedVersion: 0,
                        events: [APIKeyEvent.created(grant).recorded])
                ], privateRows: [.apiKey(hash: key.hash, keyID: id, in: GroupID(group))], metadata: .system,
                occurredAt: clock.now()))
        return key.text
    }

    func revoke(hash: String) async throws {
        let id = try #require(try await store.inner.chain(keyHash: hash)?.chain.first?.id.id)
        _ = try await store.commit(
            Commit(
                appends: [
                    StreamAppend(
                        stream: .apiKey(id), group: .default, expectedVersion: 1,
                        events: [APIKeyEvent.revoked.recorded])
                ], metadata: .system, occurredAt: clock.now()))
    }
}

extension MasterKeys {
    /// One line of a file of keys.
    static func randomLine(_ id: String) -> String {
        "\(id):" + SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) }.base64URL
    }

    static func random(_ id: String) -> MasterKeys { try! MasterKeys(parsing: randomLine(id)) }
}
