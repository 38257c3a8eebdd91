import ComputeCore

/// The part of the Sidekick that furnishes the compute's directory: overlays, environment files, children, and what a
/// claim orders of them.
struct Workspace: Sendable {
    let children: ChildService
    let setup: SetupService
    private let overlays: OverlayService
    private let servers: ServerService
    private let threads: UserThreads
    private let claims: ClaimService

    init(
        stateDirectory: String, threads: UserThreads, broker: EventBroker, overlays: OverlayService,
        servers: ServerService, claims: ClaimService
    ) throws {
        self.overlays = overlays
        self.servers = servers
        self.threads = threads
        self.claims = claims
        children = try ChildService(stateDirectory: stateDirectory, threads: threads, broker: broker)
        setup = SetupService(stateDirectory: stateDirectory, overlays: overlays) { order, compute in
            .object(try await servers.create(order, in: compute).fields)
        }
    }

    var routes: [SidekickRoute] {
        OverlayHandler(service: overlays).routes + EnvFileHandler(service: EnvFileService(threads: threads)).routes
            + ChildHandler(
                service: children, setup: setup, deleteServers: { [servers] in try await servers.deleteAll(in: $0) },
                main: { [claims] in claims.current?.compute }
            ).routes
    }

    var readiness: [Readiness] { [overlays.readiness, setup.readiness] }

    /// After a start over the state directory of an earlier process.
    func resume(in compute: ComputeContext) async { await overlays.resume(in: compute) }
}
