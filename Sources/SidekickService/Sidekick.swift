package import ComputeCore
import FoundationEssentials
import Glibc
import HTTPServing
import LinuxSystem

/// The agent inside a compute, put together from its parts.
///
///     settings ─► own limits ─► claim of an earlier process ─► listeners bound ─► "ready" on stdout ─► serve
///                                                                                         │ SIGTERM, SIGINT
///                                                      exit 0 ◄─ processes killed ◄─ drain ◄┘
package struct Sidekick: Sendable {
    private let user: UserIdentity
    private let reaper: Reaper
    private let commands: CommandService
    private let terminals: TerminalService
    private let broker: EventBroker
    private let fileHandlers: FileHandlers
    private let supervision: Supervision
    private let workspace: Workspace
    private let claims: ClaimService
    private let publicServer: HTTPServer
    private let internalServer: HTTPServer

    package init(settings: SidekickSettings) throws {
        OwnLimits.hide()
        OwnLimits.shareHeaps()
        StatFlags.mend()
        let files = OwnLimits.raiseFileLimit()
        user = try UserIdentity.resolve(settings)
        try Self.prepare(settings, user)
        claims = try ClaimService(
            settings: settings, user: user, image: try ImageEnvironment.read(settings.imageEnvironment))
        reaper = try Reaper.start()
        try LimitsWatchdog.start(memory: settings.memoryLimit, processes: settings.maxProcesses, reaper: reaper)
        let launcher = ProcessLauncher(
            reaper: reaper, poller: try Poller.start(),
            limits: UserLimits(processes: settings.maxProcesses, files: UserLimits.files(hard: files.hard)),
            waiting: WaitingShells(reaper: reaper))
        let shares = MemoryShares(memoryLimit: settings.memoryLimit)
        commands = CommandService(launcher: launcher, budget: OutputBudget(shares))
        if let path = settings.sudoSocket {
            do throws(LinuxSystemError) {
                try ElevationService(launcher: launcher, claims: claims, user: user).serve(at: path)
            } catch {
                // All else works in an image that has no room for it.
                SidekickLog.write(.error, "sudo will not work", ["reason": "\(error)"])
            }
        }
        broker = EventBroker(shares)
        terminals = TerminalService(launcher: launcher, broker: broker, shares: shares)
        let registry = CommandRegistry(
            launcher: launcher, broker: broker, clock: SystemWallClock(), limits: shares.commands)
        let exec = ExecTerminals(registry: registry) { [terminals] in (try? terminals.get($0)) != nil }
        let commandHandler = CommandHandler(service: commands, registry: registry)
        let terminalHandler = TerminalHandler(service: terminals, broker: broker, exec: exec)
        let socket = EventSocket(
            broker: broker, messages: terminalHandler.messages + commandHandler.messages,
            replay: terminals.announceAll(to:))
        let threads = UserThreads()
        let overlays = OverlayService(stateDirectory: settings.keepDirectory, threads: threads)
        supervision = Supervision(
            settings: settings, user: user, launcher: launcher, broker: broker, threads: threads, overlays: overlays,
            shares: shares)
        workspace = try Workspace(
            stateDirectory: settings.keepDirectory, threads: threads, broker: broker, overlays: overlays,
            servers: supervision.servers, claims: claims)
        fileHandlers = FileHandlers(threads: threads, stateDirectory: settings.stateDirectory)
        let routes = [
            ServiceRoutes.routes(
                readiness: { [supervision, workspace] in [supervision.readiness] + workspace.readiness },
                childCount: { [workspace] in workspace.children.count }),
            fileHandlers.routes,
            WatchHandler(service: WatchService(broker: broker)).routes,
            commandHandler.routes,
            CodeHandler(service: CodeService(commands: commands)).routes,
            exec.routes,
            terminalHandler.routes,
            supervision.routes,
            workspace.routes,
            socket.routes,
        ]
        let publicHandler = PublicHandler(
            claimed: { [claims] in claims.current }, children: workspace.children,
            routes: SidekickRoutes(routes.flatMap { $0 }), counters: supervision.counters)
        publicServer = HTTPServer(
            listen: settings.listen, limits: Self.limits(settings.listen), handler: publicHandler)
        internalServer = HTTPServer(
            listen: settings.internalListen, limits: Self.limits(settings.internalListen),
            handler: InternalHandler(
                claims: claims,
                warmUp: WarmUp(
                    claims: claims, commands: commands, handler: publicHandler, stateDirectory: settings.stateDirectory),
                setup: workspace.setup,
                goingOn: GoingOn { [workspace, supervision] compute in
                    // Overlays first: servers may wait for them.
                    await workspace.resume(in: compute)
                    await supervision.resume(in: compute)
                }, clock: SystemWallClock(),
                metrics: supervision.metrics(commands, registry, terminals)))
    }

    /// On all addresses we are in a sandbox, and who comes from its own addresses is user code, which has no business
    /// here: it shall not be able to take up our connections either.
    private static func limits(_ listen: Endpoint) -> HTTPLimits {
        var limits = HTTPLimits(maxConnections: 1024)
        // Who is served is near. What waits on its way to him stays in the processor's cache: twice as fast as with the
        // megabytes that the kernel takes by itself.
        limits.sendBufferBytes = 768 << 10
        if case .tcp(let host, _) = listen { limits.refusesOwnMachine = ["0.0.0.0", "::", "[::]"].contains(host) }
        return limits
    }

    /// Serves until SIGTERM or SIGINT. Returns when nothing that it started runs any more.
    package func run(announce: @escaping @Sendable (Ready) -> Void) async throws {
        let listen = try await publicServer.bind()
        let internalListen = try await internalServer.bind()
        await fileHandlers.resume()
        // Overlays first: servers may wait for them.
        if let claimed = claims.current {
            await workspace.resume(in: claimed.compute)
            await supervision.resume(in: claimed.compute)
        }
        announce(Ready(listen: listen, internal: internalListen))
        commands.prepareFirst(in: claims.current?.compute ?? .unclaimed(of: user))
        // Not in a sandbox, where mapping it again is slow, and would fall into the first request.
        if MemoryGauge.here == .descendants { try OwnLimits.releaseText() }
        // What an earlier process was given and did not finish.
        if let claimed = claims.current { workspace.setup.start(claimed.setup, in: claimed.compute) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await publicServer.run() }
            group.addTask { try await internalServer.run() }
            group.addTask {
                let number = try await TerminationSignals.first()
                SidekickLog.write(.info, "stopping", ["signal": "\(number)"])
                await stop()
            }
            try await group.waitForAll()
        }
    }

    /// Well under the two seconds that whoever sent the signal waits.
    private func stop() async {
        // Commands first: requests that wait for them then end by themselves.
        broker.shutdown()
        terminals.shutdown()
        supervision.shutdown()
        reaper.terminateAll(SIGTERM)
        async let closedPublic: Void = publicServer.shutdown(deadline: .milliseconds(500))
        async let closedInternal: Void = internalServer.shutdown(deadline: .milliseconds(500))
        _ = await (closedPublic, closedInternal)
        reaper.terminateAll(SIGKILL)
        if !Descendants.killAll(within: .milliseconds(500)) {
            SidekickLog.write(.warning, "some processes could not be ended")
        }
        // gVisor keeps what is written in its own memory for a while, and ends with us.
        if MemoryGauge.here == .sandbox { sync() }
    }

    /// The one line on stdout.
    package struct Ready: Encodable, Sendable {
        package var ready = true
        package var listen: Endpoint
        package var `internal`: Endpoint

        package var line: String {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? ""
        }
    }

    /// The state directory is ours alone, also when it was there before with a wider mode.
    private static func prepare(_ settings: SidekickSettings, _ user: UserIdentity) throws(SidekickStartError) {
        for (path, option) in [(settings.stateDirectory, "--state-dir"), (settings.keepDirectory, "--keep-dir")] {
            do throws(LinuxSystemError) {
                try FileTree.makeDirectories(path)
                let directory = try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
                guard fchown(directory.raw, geteuid(), gid_t.max) == 0, fchmod(directory.raw, 0o700) == 0 else {
                    throw .last("protect", path)
                }
            } catch {
                throw SidekickStartError("the directory \(path) cannot be used (\(option))", cause: error)
            }
        }
        do throws(LinuxSystemError) {
            try user.makeHome()
        } catch {
            // The files of a read-only image can still be looked at, and commands run elsewhere with `cwd`.
            SidekickLog.write(.warning, "the home could not be made", ["home": user.home, "reason": "\(error)"])
        }
    }
}
