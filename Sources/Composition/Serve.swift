import AsyncHTTPClient
import ComputeCore
import Foundation
import GatewayService
import Logging
import NIOCore
import NIOHTTP1
import PrometheusMetrics
import ServiceHost
import ServiceLifecycle
package import UnixSignals

/// The embedded default: API, Gateway and local runtime in one process, composed as they are in a cluster. The
/// Gateway reaches the API over its two sockets in the data folder, by the same path as from another machine.
package func serve(_ settings: ServiceSettings, until signals: UnixSignalsSequence) async throws {
    let logger = makeLogger("serve", settings)
    let metrics = MetricsListener.registry()
    let directory = try DataDirectory(path: settings.dataDirectory)
    let keys = try ServiceKeys(in: directory)

    // The Gateway takes its address first: the URLs of computes hold its port, which may be any free one.
    var gatewaySettings = GatewaySettings(settings)
    // A terminal or a long command is no reason to wait: its compute ends a moment later with us.
    gatewaySettings.drainLimit = .seconds(2)
    let gateway = Gateway(settings: gatewaySettings, sidekickKey: keys.sidekick, logger: logger)
    let endpoint = try await gateway.bind()
    let api = try await APIComposition(
        settings, directory: directory, keys: keys, publicEndpoint: endpoint, logger: logger)
    let announcement = Announcement(
        endpoint: endpoint, key: api.key, isolationWarning: settings.isolation == .process)
    MetricsListener.observe(api, in: metrics)
    let services = settings.metricsListener(metrics, logger) + api.services + [gateway, announcement]
    try await api.finishing { try await run(services, until: signals, logger: logger) }
}

/// The API and its runtime alone; a `gateway` process stands in front of it.
package func runAPI(_ settings: ServiceSettings, until signals: UnixSignalsSequence) async throws {
    let logger = makeLogger("api", settings)
    let metrics = MetricsListener.registry()
    let directory = try DataDirectory(path: settings.dataDirectory)
    let api = try await APIComposition(
        settings, directory: directory, keys: ServiceKeys(in: directory), publicEndpoint: settings.listen,
        logger: logger)
    MetricsListener.observe(api, in: metrics)
    let services = settings.metricsListener(metrics, logger) + api.services
    try await api.finishing { try await run(services, until: signals, logger: logger) }
}

/// The Gateway alone: it needs the API's two endpoints and the sidekick key in the data folder.
package func runGateway(_ settings: ServiceSettings, until signals: UnixSignalsSequence) async throws {
    let logger = makeLogger("gateway", settings)
    let gateway = Gateway(
        settings: GatewaySettings(settings),
        sidekickKey: try ServiceKeys.sidekickKey(inDirectory: settings.dataDirectory), logger: logger)
    let metrics = settings.metricsListener(MetricsListener.registry(), logger)
    try await run(metrics + [gateway], until: signals, logger: logger)
}

private func run(_ services: [any Service], until signals: UnixSignalsSequence, logger: Logger) async throws {
    // Children and clients close pipes and sockets at any time; that is an error of a write, not the end of us.
    signal(SIGPIPE, SIG_IGN)
    let group = ServiceGroup(services: services, logger: logger)
    try await withThrowingTaskGroup(of: Void.self) { tasks in
        // One that came during the set-up was kept, and stops the group as soon as it starts.
        tasks.addTask { for await _ in signals { await group.triggerGracefulShutdown() } }
        defer { tasks.cancelAll() }
        try await group.run()
    }
}

extension ServiceSettings {
    /// The listener for metrics, if one is wanted. It starts first and stops last.
    fileprivate func metricsListener(_ registry: MetricsRegistry, _ logger: Logger) -> [any Service] {
        metricsListen.map { [MetricsListener(listen: $0, registry: registry, logger: logger)] } ?? []
    }
}

func makeLogger(_ label: String, _ settings: ServiceSettings) -> Logger {
    let level = settings.logLevel
    // Whatever is logged on behalf of a request says so.
    let trace = Logger.MetadataProvider { TraceContext.current.map { ["trace.id": "\($0.traceID)"] } ?? [:] }
    LoggingSystem.bootstrap(
        { label, provider in
            var handler = JSONLogHandler(label: label, level: level)
            handler.metadataProvider = provider
            return handler
        }, metadataProvider: trace)
    return Logger(label: label)
}

extension GatewaySettings {
    fileprivate init(_ settings: ServiceSettings) {
        self.init(
            listen: settings.listen, api: settings.apiEndpoint, internalAPI: settings.internalEndpoint,
            domain: settings.domain)
        trustsTraces = settings.trustsTraces
    }
}

/// Prints the banner once a create would succeed, through the same door as a client's.
private struct Announcement: Service {
    let endpoint: ComputeCore.Endpoint
    let key: Banner.Key
    let isolationWarning: Bool

    func run() async throws {
        try await cancelWhenGracefulShutdown {
            let url = "http://\(endpoint)"
            // A stop before it is ready is no failure: nothing is thrown.
            while await !isReady(url) {
                guard (try? await Task.sleep(for: .milliseconds(20))) != nil else { return }
            }
            let text = Banner(url: url, key: key, isolationWarning: isolationWarning).text
            try FileHandle.standardOutput.write(contentsOf: Data(text.utf8))
        }
        try? await gracefulShutdown()
    }

    private func isReady(_ url: String) async -> Bool {
        let response = try? await HTTPClient.shared.execute(
            HTTPClientRequest(url: "\(url)/ready"), timeout: .seconds(5))
        return response?.status == .ok
    }
}
