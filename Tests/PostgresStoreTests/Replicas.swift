import APIContract
import APIService
import Auth
import ComputeCore
import ComputeDomain
import Crypto
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import PostgresClient
import SQLStore
import SecretSealing
import TestSupport

/// Three instances of the API over one database and one runtime, as in a cluster, with the same keys.
struct Replicas: Sendable {
    let key: String
    let servers: [APIServer]
    let clients: [any TestClientProtocol]
    /// The webhooks' receivers, which are the same whoever sends.
    let receivers: InMemoryReceivers

    static func with(
        _ database: PostgresConfiguration, computesPerGroup: Int64 = 100,
        _ run: @escaping @Sendable (Replicas) async throws -> Void
    ) async throws {
        let runtime = InMemoryRuntime(poolSize: 6)
        let sidekicks = InMemorySidekicks(of: runtime)
        let (signing, secret) = (Curve25519.Signing.PrivateKey(), SymmetricKey(size: .bits256))
        let receivers = InMemoryReceivers()
        let masterKeys = try MasterKeys(parsing: "first:" + [UInt8](repeating: 1, count: 32).base64URL)
        var stores: [PostgresEventStore] = []
        defer { for store in stores { store.close() } }
        var servers: [APIServer] = []
        for _ in 0..<3 {
            let store = try await PostgresEventStore.open(database, now: moment, logger: silent)
            stores.append(store)
            var settings = APISettings(
                listen: .tcp(host: "127.0.0.1", port: 0), internalListen: .tcp(host: "127.0.0.1", port: 0),
                urls: PublicURLs(style: .host, scheme: "http", domain: "localhost", port: 8080))
            settings.quotas[.computes] = computesPerGroup
            servers.append(
                APIServer(
                    ports: APIPorts(
                        store: store, summaries: store, sessions: store, access: store, runtime: runtime,
                        sidekicks: sidekicks,
                        clock: SystemWallClock(), tokens: TokenSigner(signing), sidekickKey: secret,
                        webhooks: WebhookPorts(webhooks: store, consumers: store, sender: receivers),
                        secrets: SecretPorts(records: store, masterKeys: masterKeys), filesystems: store,
                        templates: store, pools: store, usage: store),
                    settings: settings, startedAt: moment, logger: silent))
        }
        let (first, second, third) = (servers[0], servers[1], servers[2])
        let key = try await first.keys.bootstrap(preset: nil) ?? ""
        try await first.publicApplication.test(.router) { one async throws in
            try await second.publicApplication.test(.router) { two async throws in
                try await third.publicApplication.test(.router) { three async throws in
                    try await run(
                        Replicas(
                            key: key, servers: [first, second, third], clients: [one, two, three],
                            receivers: receivers))
                }
            }
        }
    }

    /// - Parameter other: a key in place of the first one.
    func send(
        _ replica: Int, _ method: HTTPRequest.Method, _ path: String, _ body: String? = nil, key other: String? = nil,
        headers: HTTPFields = [:]
    ) async throws -> (status: Int, retryAfter: String?, json: JSONValue) {
        var headers = headers
        headers[HTTPField.Name("X-ComputeSDK-API-Key")!] = other ?? key
        return try await clients[replica % 3].execute(
            uri: path, method: method, headers: headers,
            body: body.map { ByteBuffer(string: $0) }
        ) { response in
            let json = (try? JSONDocument.parse(Array(response.body.readableBytesView))) ?? .null
            return (response.status.code, response.headers[.retryAfter], json)
        }
    }

    func create(_ replica: Int, _ path: String = "/v1/sandboxes", _ body: String = "{}") async throws -> (Int, String) {
        let answer = try await send(replica, .post, path, body)
        return (answer.status, answer.json["data"]?["sandboxId"]?.text ?? "")
    }
}

extension JSONValue {
    subscript(_ key: String) -> JSONValue? { if case .object(let fields) = self { fields[key] } else { nil } }
    var text: String? { if case .string(let text) = self { text } else { nil } }
    var count: Int { if case .array(let values) = self { values.count } else { 0 } }
}
