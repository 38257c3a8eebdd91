import AsyncHTTPClient
package import ComputeCore
package import Crypto
import HTTPServing
package import Logging
import ServiceLifecycle
import Synchronization

/// The single entry point: a projection of the event feed and a proxy. Knows nothing of database or domain.
package final class Gateway: Service {
    private let settings: GatewaySettings
    private let server: HTTPServer
    private let directory: RouteDirectory
    private let pool: UpstreamPool
    private let sessions: Sessions
    private let keys: KeyRing
    private let bound = Mutex<Endpoint?>(nil)

    /// - Parameter sidekickKey: what the secrets of all Sidekicks are derived from.
    package init(settings: GatewaySettings, sidekickKey: SymmetricKey, logger: Logger) {
        self.settings = settings
        let pool = UpstreamPool()
        // The shared client lives as long as the process; our few connections to the API need no settings.
        let api = InternalAPI(endpoint: settings.internalAPI, client: .shared)
        let sessions = Sessions(api: api, clock: SystemWallClock(), logger: logger)
        let directory = RouteDirectory(
            api: api, pool: pool, sessions: sessions, startingLimit: settings.startingLimit,
            feedWait: settings.feedWait, logger: logger)
        let keys = KeyRing(api: api, clock: SystemWallClock(), logger: logger)
        self.pool = pool
        self.keys = keys
        self.sessions = sessions
        self.directory = directory
        server = HTTPServer(
            listen: settings.listen,
            handler: GatewayHandler(
                settings: settings,
                resolver: RouteResolution(
                    domain: settings.domain, listensOnLoopback: settings.listen.isLoopback),
                directory: directory, sessions: sessions,
                keys: keys,
                proxy: Proxy(pool: pool, dialTimeout: settings.dialTimeout, headerTimeout: settings.headerTimeout),
                sidekickKey: sidekickKey, logger: logger))
    }

    /// Where clients connect, with the real port; nil before `bind()`.
    package var endpoint: Endpoint? { bound.withLock { $0 } }

    /// Takes the address. `run()` does it when nobody did before.
    @discardableResult
    package func bind() async throws -> Endpoint {
        let endpoint = try await server.bind()
        bound.withLock { $0 = endpoint }
        return endpoint
    }

    /// Serves until graceful shutdown or cancellation. Graceful: no new requests, those under way may finish
    /// within the drain limit, then everything closes.
    package func run() async throws {
        if endpoint == nil { try await bind() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await self.directory.run() }
            group.addTask { await self.pool.run() }
            group.addTask { await self.sessions.run() }
            group.addTask { await self.keys.run() }
            group.addTask {
                // Throws when cancelled, which the server notices by itself.
                guard (try? await gracefulShutdown()) != nil else { return }
                await self.server.shutdown(deadline: self.settings.drainLimit)
            }
            defer { group.cancelAll() }
            try await server.run()
        }
    }
}
