import Auth
package import ComputeCore
import Glibc
package import Hummingbird
import HummingbirdCore
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
///   pools                tells the runtime which pools shall be
///   signing keys, uses   rotate; note when credentials were used
///   dispatcher           tells webhooks of events
///   rewrapping           brings secrets under the current master key
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
    package let keyService: KeyService
    package let groups: GroupService
    package let apiSessions: APISessionService
    package let signingKeys: SigningKeyRotation
    package let credentials: Credentials
    package let uses: CredentialUses
    package let sweep: Sweep
    package let reaper: Reaper
    package let webhooks: WebhookService
    package let dispatcher: WebhookDispatcher
    package let secrets: SecretService
    package let filesystems: FilesystemService
    package let templates: TemplateService
    package let pools: PoolService
    package let poolKeeper: PoolKeeper
    /// Where the listeners are bound, with their real ports, once they are.
    package let addresses: BoundAddresses

    private let ports: APIPorts
    private let streamSlots: StreamSlots
    private let limits: RateLimits
    private let settings: APISettings
    private let logger: Logger

    /// - Parameter startedAt: creates from before it are nobody's any more; the start of this process.
    package init(ports: APIPorts, settings: APISettings, startedAt: WallTime, logger: Logger) {
        self.ports = ports
        self.settings = settings
        self.logger = logger
        compute = ComputeService(ports: ports, settings: settings, logger: logger)
        sessions = SessionService(ports: ports, settings: settings, logger: logger)
        keys = APIKeys(store: ports.store, records: ports.access, clock: ports.clock)
        keyService = KeyService(ports: ports, settings: settings, logger: logger)
        groups = GroupService(ports: ports, settings: settings, keys: keyService, logger: logger)
        apiSessions = APISessionService(ports: ports, settings: settings, logger: logger)
        signingKeys = SigningKeyRotation(
            signer: ports.tokens, store: ports.signingKeys, log: ports.store, clock: ports.clock,
            period: settings.signingPeriod, logger: logger)
        uses = CredentialUses(records: ports.access, logger: logger)
        credentials = Credentials(
            keys: keys, sessions: apiSessions,
            people: ports.issuer.map { SignIns(issuer: $0, records: ports.access, clock: ports.clock) }, uses: uses,
            clock: ports.clock)
        sweep = Sweep(service: compute, startedAt: startedAt)
        reaper = Reaper(service: compute)
        webhooks = WebhookService(ports: ports, logger: logger)
        dispatcher = WebhookDispatcher(service: webhooks)
        secrets = compute.secrets
        filesystems = compute.filesystems
        templates = compute.templates
        poolKeeper = compute.pools
        pools = PoolService(ports: ports, settings: settings, templates: templates, keeper: poolKeeper, logger: logger)
        addresses = BoundAddresses()
        streamSlots = StreamSlots(perGroup: settings.eventStreams.perGroup)
        limits = RateLimits(settings.rateLimits, clock: ports.clock)
    }

    package var services: [any Service] {
        [
            sweep, reaper, poolKeeper, signingKeys, uses, dispatcher, SecretRewrapping(service: secrets),
            Drain(service: compute), internalApplication, publicApplication,
        ]
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

    /// Every route of the public API, by method and pattern; the methods that only say which ones there are, too.
    package var publicRoutes: Set<[String]> {
        Set(publicRouter.routes.map { [$0.method.rawValue, $0.path.description] })
    }

    var publicRouter: Router<APIRequestContext> {
        let router = Router(context: APIRequestContext.self)
        router.add(middleware: EdgeMiddleware(logger: logger, bodyDeadline: settings.bodyDeadline))
        router.add(middleware: RateLimitMiddleware(limits: limits, ports: ports))
        HealthRoutes(readiness: ReadinessProbe(ports: ports, logger: logger)).add(to: router)
        OpenAPIRoutes(version: settings.version).add(to: router)
        AuthRoutes(service: sessions, urls: settings.urls).add(to: router)
        let customEvents = CustomEventRoutes(
            service: CustomEventService(service: compute), compute: compute, sessions: sessions)
        customEvents.addOpen(to: router)
        let signing = SigningKeyRoutes(signer: ports.tokens, rotation: signingKeys, clock: ports.clock)
        signing.addPublic(to: router)
        let guarded = router.group().add(middleware: KeyMiddleware(credentials: credentials, limits: limits))
        GroupRoutes(service: groups, issuer: ports.issuer?.issuer).add(to: guarded)
        KeyRoutes(service: keyService).add(to: guarded)
        APISessionRoutes(service: apiSessions).add(to: guarded)
        signing.add(to: guarded)
        SandboxRoutes(
            service: compute, tokens: SandboxTokens(signer: ports.tokens, clock: ports.clock), urls: settings.urls,
            sidekickKey: ports.sidekickKey
        ).add(to: guarded)
        SnapshotRoutes().add(to: guarded)
        EventRoutes(service: compute, slots: streamSlots).add(to: guarded)
        customEvents.addGuarded(to: guarded)
        WebhookRoutes(service: webhooks).add(to: guarded)
        SecretRoutes(service: secrets).add(to: guarded)
        FilesystemRoutes(service: filesystems).add(to: guarded)
        TemplateRoutes(service: templates).add(to: guarded)
        PoolRoutes(service: pools).add(to: guarded)
        UsageRoutes(ports: ports).add(to: guarded)
        RuntimeRoutes(runtime: ports.runtime, maximumResources: settings.maximumResources).add(to: guarded)
        return router
    }

    var internalRouter: Router<APIRequestContext> {
        let router = Router(context: APIRequestContext.self)
        router.add(middleware: EdgeMiddleware(logger: logger, bodyDeadline: settings.bodyDeadline))
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
        let longest = settings.requestDeadline
        var application = Application(
            responder: responder,
            server: HTTPServerBuilder { responder in
                LoopServing(
                    http: HTTP1Channel(
                        responder: responder,
                        configuration: .init(
                            additionalChannelHandlers: [RequestBounds(longest: longest)], idleTimeout: idleTimeout)))
            },
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
