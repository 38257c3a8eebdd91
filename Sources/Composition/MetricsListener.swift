import APIService
import ComputeCore
import ComputeRuntime
import CoreMetrics
import GatewayService
import HTTPServing
import LocalRuntime
import Logging
import NIOCore
import NIOHTTP1
import PrometheusMetrics
import ServiceLifecycle

/// `GET /metrics` on an address of its own, which nobody outside has to reach: what all parts of this process measure.
struct MetricsListener: Service {
    private let server: HTTPServer
    private let logger: Logger

    init(listen: Endpoint, registry: MetricsRegistry, logger: Logger) {
        server = HTTPServer(listen: listen, handler: Handler(registry: registry))
        self.logger = logger
    }

    /// The registry of this process, told of by everybody from now on. Once in a process.
    static func registry() -> MetricsRegistry {
        let registry = MetricsRegistry(
            helps: APIMetrics.helps.merging(GatewayMetrics.helps) { $1 }.merging(helps) { $1 })
        MetricsSystem.bootstrap(registry)
        return registry
    }

    func run() async throws {
        let endpoint = try await server.bind()
        logger.notice("metrics are served", metadata: ["endpoint": "\(endpoint)"])
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                guard (try? await gracefulShutdown()) != nil else { return }
                await server.shutdown(deadline: .zero)
            }
            defer { group.cancelAll() }
            try await server.run()
        }
    }

    private struct Handler: HTTPHandler {
        let registry: MetricsRegistry

        func handle(_ exchange: HTTPExchange) async throws {
            guard exchange.head.uri.split(separator: "?").first == "/metrics" else {
                return try await exchange.respond(status: .notFound)
            }
            guard [.GET, .HEAD].contains(exchange.head.method) else {
                return try await exchange.respond(status: .methodNotAllowed, headers: ["Allow": "GET, HEAD"])
            }
            try await exchange.respond(
                status: .ok, headers: ["Content-Type": MetricsText.contentType],
                body: ByteBuffer(string: registry.text))
        }
    }
}

extension MetricsListener {
    private static let helps = [
        poolIdle: "Computes that wait in the pool.", poolTarget: "How many shall wait there.",
        groupPoolIdle: "Computes that wait in the pools of groups.", groupPoolTarget: "How many shall wait there.",
    ]
    private static let poolIdle = "computesdk_pool_idle"
    private static let poolTarget = "computesdk_pool_target"

    private static let groupPoolIdle = "computesdk_group_pool_idle"
    private static let groupPoolTarget = "computesdk_group_pool_target"

    static func observe(_ api: APIComposition, in registry: MetricsRegistry) {
        let runtime = api.runtime
        registry.gauge(poolIdle) { Double(runtime.idleCount) }
        registry.gauge(poolTarget) { Double(runtime.describe().poolTarget) }
        registry.gauge(groupPoolIdle) { Double(runtime.pools.values.reduce(0) { $0 + $1.idle }) }
        registry.gauge(groupPoolTarget) { Double(runtime.pools.values.reduce(0) { $0 + $1.target }) }
    }
}
