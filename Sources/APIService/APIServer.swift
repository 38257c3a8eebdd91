package import ComputeCore
import Glibc
package import Hummingbird
package import Logging
import NIOCore
package import ServiceLifecycle
import Synchronization

/// The API, joined from its ports.
///
/// `services` in the order in which a `ServiceGroup` shall start them; it stops them in the reverse order:
///
/// ```
///   sweep, reaper        repair and end; need nothing but the ports
///   drain                on stop: waits for the creates in flight, after the listeners took their last request
///   internal listener    the Gateway's
///   public listener      stops first: no new request
/// ```
///
/// Before them in the same group belong what they stand on: the store, then `runtime.run()`.
package struct APIServer: Sendable {
    package let compute: ComputeService
    package let sessions: SessionService
    package let keys: APIKeys
    package let sweep: Sweep
    package let reaper: Reaper
    /// Where the listeners are bound, with their real ports, once they are.
    package let addresses: BoundAddresses

    private let ports: APIPorts
    private let settings: APISettings
    private let logger: Logger

    /// - Parameter startedAt: creates from before it are nobody's any more; the start of this process.
    package init(ports: APIPorts, settings: APISettings, startedAt: WallTime, logger: Logger) {
        self.ports = ports
        self.settings = settings
        self.logger = logger
        compute = ComputeService(ports: ports, settings: settings, logger: logger)
        sessions = SessionService(ports: ports, settings: settings, logger: logger)
        keys = APIKeys(store: ports.store, clock: ports.clock)
        sweep = Sweep(service: compute, startedAt: startedAt)
        reaper = Reaper(service: compute)
        addresses = BoundAddresses()
    }

    package var services: [any Service] {
        [sweep, reaper, Drain(service: compute), internalApplication, publicApplication]
    }

    // MARK: - Listeners

    package var publicApplication: some ApplicationProtocol {
        application(
            publicRouter.buildResponder(), name: "api", listen: settings.listen,
            // Longer than the Gateway keeps idle connections, so that it is the one who closes them.
            idleTimeout: .seconds(180)
        ) { addresses.set(public: $0) }
    }

    package var internalApplication: some ApplicationProtocol {
        // Its readers wait for up to a minute between lines.
        application(
            internalRouter.buildResponder(), name: "internal-api", listen: settings.internalListen, idleTimeout: nil
        ) { addresses.set(internal: $0) }
    }

    var publicRouter: Router<APIRequestContext> {
        let router = Router(context: APIRequestContext.self)
        router.add(middleware: EdgeMiddleware(logger: logger))
        HealthRoutes(readiness: ReadinessProbe(ports: ports, logger: logger)).add(to: router)
        AuthRoutes(service: sessions, urls: settings.urls).add(to: router)
        let guarded = router.group().add(middleware: KeyMiddleware(keys: keys))
        SandboxRoutes(
            service: compute, tokens: SandboxTokens(signer: ports.tokens, clock: ports.clock), urls: settings.urls,
            sidekickKey: ports.sidekickKey
        ).add(to: guarded)
        EventRoutes(service: compute).add(to: guarded)
        RuntimeRoutes(runtime: ports.runtime, maximumResources: settings.maximumResources).add(to: guarded)
        return router
    }

    var internalRouter: Router<APIRequestContext> {
        let router = Router(context: APIRequestContext.self)
        router.add(middleware: EdgeMiddleware(logger: logger))
        InternalRoutes(ports: ports, sessions: sessions, logger: logger).add(to: router)
        return router
    }

    private func application(
        _ responder: RouterResponder<APIRequestContext>, name: String, listen: ComputeCore.Endpoint,
        idleTimeout: TimeAmount?, onBound: @escaping @Sendable (ComputeCore.Endpoint) -> Void
    ) -> some ApplicationProtocol {
        let address: BindAddress =
            switch listen {
            case .tcp(let host, let port): .hostname(host, port: port)
            case .unix(let path): .unixDomainSocket(path: path)
            }
        var application = Application(
            responder: responder, server: .http1(configuration: .init(idleTimeout: idleTimeout)),
            configuration: ApplicationConfiguration(address: address),
            onServerRunning: { channel in
                switch listen {
                case .unix(let path):
                    // Between bind and here only the directory's mode keeps others out: a umask would be the process's.
                    _ = chmod(path, 0o600)
                    onBound(listen)
                case .tcp(let host, let port):
                    onBound(.tcp(host: host, port: channel.localAddress?.port ?? port))
                }
            }, logger: logger)
        if case .unix(let path) = listen {
            application.beforeServerStarts {
                // What a crash left would make the bind fail. Nobody else listens there: the data directory is locked
                // by its one process.
                _ = unlink(path)
            }
        }
        return application
    }
}

/// Where the listeners are.
package final class BoundAddresses: Sendable {
    package struct Addresses: Sendable {
        package var publicAddress: ComputeCore.Endpoint?
        package var internalAddress: ComputeCore.Endpoint?
    }
    private let state = Mutex(Addresses())

    package var current: Addresses { state.withLock { $0 } }

    func set(public endpoint: ComputeCore.Endpoint) { state.withLock { $0.publicAddress = endpoint } }
    func set(internal endpoint: ComputeCore.Endpoint) { state.withLock { $0.internalAddress = endpoint } }
}

/// Holds the group's stop until the creates in flight have ended.
struct Drain: Service {
    let service: ComputeService

    func run() async throws {
        try await gracefulShutdown()
        await service.close()
    }
}
