import ComputeCore
import LinuxSystem

/// The part of the Sidekick that looks after what runs: signals, ports, servers, processes, figures.
struct Supervision: Sendable {
    let counters = RequestCounters()
    private let broker: EventBroker
    private let reaper: Reaper
    private let monitor: PortMonitor
    private let signals: SignalService
    let servers: ServerService
    private let processes: ProcessService
    private let stats: StatsService

    init(
        settings: SidekickSettings, user: UserIdentity, launcher: ProcessLauncher, broker: EventBroker,
        threads: UserThreads, overlays: OverlayService, shares: MemoryShares
    ) {
        self.broker = broker
        reaper = launcher.reaper
        let threads = ScanThreads(threads, user: user)
        monitor = PortMonitor(threads: threads)
        signals = SignalService(broker: broker, monitor: monitor)
        servers = ServerService(
            launcher: launcher, threads: threads, broker: broker, signals: signals, monitor: monitor,
            overlays: overlays, stateDirectory: settings.keepDirectory,
            keptLogBytes: shares.serverStream)
        overlays.observe { [weak servers] in servers?.dependenciesChanged() }
        processes = ProcessService(monitor: monitor, threads: threads, reaper: reaper)
        stats = StatsService(
            memoryLimit: settings.memoryLimit, threads: threads, reaper: reaper)
    }

    var routes: [SidekickRoute] {
        SignalHandler(service: signals).routes + PortHandler(monitor: monitor).routes
            + ServerHandler(service: servers).routes + ProcessHandler(service: processes).routes
            + StatsHandler(service: stats).routes
    }

    var readiness: Readiness { servers.readiness }

    func metrics(
        _ commands: CommandService, _ registry: CommandRegistry, _ terminals: TerminalService
    ) -> MetricsText {
        MetricsText(
            counters: counters, broker: broker, reaper: reaper, servers: servers, commands: commands,
            registry: registry, terminals: terminals)
    }

    /// After a start over the state directory of an earlier process.
    func resume(in compute: ComputeContext) async { await servers.resume(in: compute) }

    func shutdown() {
        servers.shutdown()
        monitor.shutdown()
    }
}
