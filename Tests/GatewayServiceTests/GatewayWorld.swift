import APIContract
import Auth
import ComputeCore
import Crypto
import Foundation
import GatewayService
import HTTPServing
import Logging
import NIOCore
import NIOHTTP1
import ServiceLifecycle
import SidekickProtocol
import Testing

/// A real Gateway on a free loopback port in front of fake servers, for one test.
struct GatewayWorld: Sendable {
    let gateway: Endpoint
    let api: Recorder
    let sidekick: Recorder
    let app: Recorder
    let internalAPI: FakeInternalAPI
    let signer: TokenSigner
    let sidekickKey: SymmetricKey
    let sidekickEndpoint: Endpoint
    let appPort: Int
    let id = ComputeID.random()
    private let services: ServiceGroup

    /// Begins a graceful shutdown of the Gateway.
    func stop() async { await services.triggerGracefulShutdown() }

    func record(_ id: ComputeID, _ state: RouteState = .running, generation: Generation = .first) -> RouteRecord {
        RouteRecord(
            computeId: id, group: .default, state: state, generation: generation,
            sidekick: state == .running ? sidekickEndpoint : nil, portHost: state == .running ? "127.0.0.1" : nil)
    }

    func token(_ id: ComputeID, group: GroupID = .default, life: Duration = .seconds(60)) async throws -> String {
        let now = SystemWallClock().now()
        return try await signer.sign(
            AccessToken(
                computeID: id, group: group, kind: .access, tokenID: "t", issuedAt: now, expiresAt: now + life))
    }

    /// A session token of `id`, and what the API says of it.
    func session(
        life: Duration = .seconds(60), isRevoked: Bool = false
    ) async throws -> (token: String, record: SessionRecord) {
        let (now, session) = (SystemWallClock().now(), SessionID.random())
        let token = try await signer.sign(
            AccessToken(
                computeID: id, group: .default, kind: .session, tokenID: session.rawValue, issuedAt: now,
                expiresAt: now + life))
        return (
            token,
            SessionRecord(sessionId: session, computeId: id, isRevoked: isRevoked, expiresAt: now + life)
        )
    }

    func secret(_ id: ComputeID, generation: Generation = .first) -> String {
        SidekickSecret.derive(from: sidekickKey, computeID: id, generation: generation)
    }

    var port: Int { if case .tcp(_, let port) = gateway { port } else { 0 } }
    func host(_ label: String) -> String { "\(label).localhost:\(port)" }

    /// Runs `test` against a world whose compute `id` is running.
    static func run(
        startingLimit: Duration = .seconds(30), headerTimeout: Duration = .seconds(30),
        drainLimit: Duration = .seconds(5), before: @escaping @Sendable (GatewayWorld) -> Void = { _ in },
        api: @escaping @Sendable (HTTPExchange) async throws -> Void = { try await answerOK($0, "api") },
        sidekick: @escaping @Sendable (HTTPExchange) async throws -> Void = { try await answerOK($0, "sidekick") },
        app: @escaping @Sendable (HTTPExchange) async throws -> Void = { try await answerOK($0, "app") },
        _ test: @escaping @Sendable (GatewayWorld) async throws -> Void
    ) async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(
            "gw-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        func socket(_ name: String) -> Endpoint { .unix(path: directory.appendingPathComponent(name).path) }

        let signer = TokenSigner(Curve25519.Signing.PrivateKey())
        let internalAPI = FakeInternalAPI(
            keys: TokenKeys(keys: [.init(kid: signer.publicKey.kid, x: signer.publicKey.x)]))
        let recorders = (api: Recorder(), sidekick: Recorder(), app: Recorder())
        let servers = [
            HTTPServer(listen: socket("internal.sock"), handler: internalAPI.handler),
            HTTPServer(
                listen: socket("api.sock"),
                handler: Answering {
                    recorders.api.add($0.head)
                    try await api($0)
                }),
            HTTPServer(
                listen: socket("sidekick.sock"),
                handler: Answering {
                    recorders.sidekick.add($0.head)
                    try await sidekick($0)
                }),
            HTTPServer(
                listen: .tcp(host: "127.0.0.1", port: 0),
                handler: Answering {
                    recorders.app.add($0.head)
                    try await app($0)
                }),
        ]
        var bound: [Endpoint] = []
        for server in servers { bound.append(try await server.bind()) }
        guard case .tcp(_, let appPort) = bound[3] else { return }
        let key = SymmetricKey(size: .bits256)
        var logger = Logger(label: "gateway-test")
        logger.logLevel = .critical
        let gateway = Gateway(
            settings: GatewaySettings(
                listen: .tcp(host: "127.0.0.1", port: 0), api: socket("api.sock"),
                internalAPI: socket("internal.sock"), startingLimit: startingLimit, headerTimeout: headerTimeout,
                drainLimit: drainLimit),
            sidekickKey: key, logger: logger)
        let world = GatewayWorld(
            gateway: try await gateway.bind(), api: recorders.api, sidekick: recorders.sidekick, app: recorders.app,
            internalAPI: internalAPI, signer: signer, sidekickKey: key, sidekickEndpoint: socket("sidekick.sock"),
            appPort: appPort, services: ServiceGroup(services: [gateway], logger: logger))
        internalAPI.tell(world.record(world.id))
        before(world)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for server in servers { group.addTask { try await server.run() } }
            group.addTask { try await world.services.run() }
            defer { group.cancelAll() }
            try await test(world)
        }
    }

    private init(
        gateway: Endpoint, api: Recorder, sidekick: Recorder, app: Recorder, internalAPI: FakeInternalAPI,
        signer: TokenSigner, sidekickKey: SymmetricKey, sidekickEndpoint: Endpoint, appPort: Int,
        services: ServiceGroup
    ) {
        self.gateway = gateway
        self.api = api
        self.sidekick = sidekick
        self.app = app
        self.internalAPI = internalAPI
        self.signer = signer
        self.sidekickKey = sidekickKey
        self.sidekickEndpoint = sidekickEndpoint
        self.appPort = appPort
        self.services = services
    }
}

@Sendable func answerOK(_ exchange: HTTPExchange, _ text: String) async throws {
    for try await _ in exchange.body {}
    try await exchange.respond(status: .ok, headers: ["X-From": text], body: ByteBuffer(string: text))
}

struct Answer: Sendable {
    var status: Int
    var headers: HTTPHeaders
    var body: String
    var trailers: HTTPHeaders?
}

extension GatewayWorld {
    func connect() async throws -> HTTPClientConnection {
        try await HTTPClientConnection.connect(to: gateway, timeout: .seconds(30))
    }

    /// One request on a connection of its own.
    func send(
        _ method: HTTPMethod = .GET, host: String, _ target: String = "/", _ headers: HTTPHeaders = [:],
        body: String? = nil
    ) async throws -> Answer {
        let connection = try await connect()
        var all: HTTPHeaders = ["Host": host]
        all.add(contentsOf: headers)
        if let body { all.add(name: "Content-Length", value: String(body.utf8.count)) }
        try await connection.sendHead(HTTPRequestHead(version: .http1_1, method: method, uri: target, headers: all))
        if let body { try await connection.sendBody(ByteBuffer(string: body)) }
        try await connection.finish()
        let head = try await connection.receiveHead()
        let responseBody = connection.body
        let bytes = try await responseBody.collect(upTo: 1 << 20)
        await connection.close()
        return Answer(
            status: Int(head.status.code), headers: head.headers, body: String(buffer: bytes),
            trailers: responseBody.trailers)
    }

    func authorized(_ id: ComputeID) async throws -> HTTPHeaders {
        ["Authorization": "Bearer \(try await token(id))"]
    }
}

/// Waits for the real world, with a deadline.
func eventually(within limit: Duration = .seconds(20), _ condition: () async throws -> Bool) async throws -> Bool {
    let deadline = ContinuousClock.now.advanced(by: limit)
    while ContinuousClock.now < deadline {
        if try await condition() { return true }
        try await Task.sleep(for: .milliseconds(10))
    }
    return false
}
