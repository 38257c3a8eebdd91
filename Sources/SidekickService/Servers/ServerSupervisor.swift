import ComputeCore
import Glibc
import LinuxSystem
import Synchronization

/// Keeps one server as it was asked for. The shell of `ServerMachine`: lock, step, unlock, perform.
final class ServerSupervisor: Sendable {
    /// What it needs of the rest.
    struct Surroundings: Sendable {
        let launcher: ProcessLauncher
        let threads: ScanThreads
        let signals: SignalService
        let compute: ComputeContext
        let clocks: ServerClocks
        /// Reserves it; nil: the port that it has to have is taken, or none is free.
        let choosePort: @Sendable (ServerSupervisor) async -> Int?
        let dependencies: @Sendable (ServerDefinition) -> ServerMachine.Dependencies
        /// Others may wait for it, or for its ports.
        let changed: @Sendable () -> Void
        let installed: @Sendable () -> Void
        let forgotten: @Sendable (ServerSupervisor) -> Void
    }

    /// The process of a run, and what comes out of it.
    private struct Process {
        let run: ServerMachine.Run
        let command: StartedCommand
        let began: ContinuousClock.Instant
        var child: ChildProcess { command.child }
    }

    private struct State: ~Copyable {
        var machine: ServerMachine
        var process: Process?
        var assignedPort: Int?
        var reach = ListeningSocket.Reach.loopback4
        var updatedAt: WallTime
        var lastCheck: WallTime?
        var waiters: [(until: @Sendable (ServerMachine) -> Bool, told: OneShot<Bool>)] = []
    }

    /// Beyond the kill: who does not die from that hangs in the kernel.
    private static let killGrace: Duration = .seconds(5)

    let definition: ServerDefinition
    let log: ServerLog
    let createdAt: WallTime
    private let surroundings: Surroundings
    private let state: Mutex<State>

    init(
        _ definition: ServerDefinition, isInstalled: Bool, createdAt: WallTime, log: ServerLog,
        surroundings: Surroundings
    ) {
        self.definition = definition
        self.log = log
        self.createdAt = createdAt
        self.surroundings = surroundings
        state = Mutex(State(machine: ServerMachine(definition, isInstalled: isInstalled), updatedAt: createdAt))
    }

    var machine: ServerMachine { state.withLock { $0.machine } }

    /// How it is shown.
    var record: ServerRecord {
        state.withLock { state in
            let pid = state.machine.currentRun.flatMap { current in
                state.process.flatMap {
                    $0.run == current.run && $0.child.currentExitStatus == nil ? $0.child.pid : nil
                }
            }
            let port = state.machine.port ?? (definition.port == nil ? nil : state.assignedPort ?? definition.port)
            return ServerRecord(
                definition: definition, machine: state.machine, pid: pid, port: port,
                url: port.flatMap(surroundings.compute.portURL), createdAt: createdAt, updatedAt: state.updatedAt,
                lastCheck: state.lastCheck)
        }
    }

    var stored: ServerStore.Stored {
        ServerStore.Stored(definition: definition, isInstalled: machine.isInstalled, createdAt: createdAt)
    }

    /// The port that it was told to take, as long as it may.
    var reservedPort: Int? { state.withLock { $0.machine.isSettled ? nil : $0.assignedPort } }

    func reserve(_ port: Int) { state.withLock { $0.assignedPort = port } }

    // MARK: - Steps

    /// - Returns: false when it is retired: then nothing comes of the fact.
    @discardableResult
    func deliver(_ fact: ServerMachine.Fact) -> Bool {
        let (orders, told, isChanged, isTaken) = state.withLock { state in
            let isTaken = !state.machine.isRetired
            let before = (state.machine.status, state.machine.port, state.machine.health?.isHealthy, state.machine.isUp)
            let orders = state.machine.step(fact)
            let after = (state.machine.status, state.machine.port, state.machine.health?.isHealthy, state.machine.isUp)
            if before != after { state.updatedAt = surroundings.clocks.wall.now() }
            var told: [OneShot<Bool>] = []
            if !state.waiters.isEmpty {
                told = state.waiters.filter { $0.until(state.machine) }.map(\.told)
                state.waiters.removeAll { $0.until(state.machine) }
            }
            return (orders, told, before != after, isTaken)
        }
        for order in orders { perform(order) }
        for waiter in told { waiter.set(true) }
        if isChanged { surroundings.changed() }
        return isTaken
    }

    /// See `ServerMachine`.
    func retire() -> Bool { state.withLock { $0.machine.retire() } }
    func reinstate() { state.withLock { $0.machine.reinstate() } }

    /// - Returns: false when it was not so in time.
    func wait(atMost limit: Duration, until condition: @escaping @Sendable (ServerMachine) -> Bool) async -> Bool {
        let told = OneShot<Bool>()
        let isSo = state.withLock { state in
            if condition(state.machine) { return true }
            state.waiters.append((condition, told))
            return false
        }
        if isSo { return true }
        let timer = Task {
            try await Task.sleep(for: limit)
            self.state.withLock { $0.waiters.removeAll { $0.told === told } }
            told.set(false)
        }
        defer { timer.cancel() }
        return await told.wait()
    }

    /// What it listens on now.
    /// - Returns: how soon it has to be asked again.
    func observed(_ listeners: [PortListener]) -> PortMonitor.Demand {
        let (fact, demand) = state.withLock { state -> (ServerMachine.Fact?, PortMonitor.Demand) in
            guard case (let run, .start)? = state.machine.currentRun else { return (nil, .none) }
            guard let process = state.process, process.run == run else { return (nil, .eager) }
            let found = ServerPorts.detect(
                listeners, assigned: state.assignedPort, current: state.machine.port, session: process.child.pid)
            if let found { state.reach = found.reach }
            let demand = ServerPorts.demand(
                isListening: found != nil, age: surroundings.clocks.now() - process.began)
            return (found?.port == state.machine.port ? nil : .listening(run, port: found?.port), demand)
        }
        if let fact { deliver(fact) }
        return demand
    }

    private func perform(_ order: ServerMachine.Order) {
        switch order {
        case .checkDependencies: deliver(.dependencies(surroundings.dependencies(definition)))
        case .launch(let run, let step):
            // At the shell's edge, as all below: each ends with the fact that it brings back.
            Task { await self.launch(run, step) }
        case .setTimer(let timer, let duration):
            Task { [weak self] in
                try? await Task.sleep(for: duration)
                self?.deliver(.timerFired(timer))
            }
        case .signalGroup(let run, let kill): signal(run, kill: kill)
        case .awaitSession(let run, let signalFirst): Task { await self.awaitSession(run, signalFirst: signalFirst) }
        case .killSession(let run): signalSession(run, SIGKILL)
        case .probe(let run, let port): Task { await self.probe(run, port) }
        case .announceReady(let port):
            surroundings.signals.emitReady(port: port, url: surroundings.compute.portURL(port))
        case .announceFailure(let reason): surroundings.signals.emitError("server \(definition.slug): \(reason)")
        case .recordInstalled: surroundings.installed()
        case .forget: surroundings.forgotten(self)
        }
    }

    // MARK: - Processes

    private func launch(_ run: ServerMachine.Run, _ step: ServerMachine.Step) async {
        do {
            var variables: [String: String] = [:]
            if let file = definition.envFile {
                let path = try FilePath(file, directory: definition.directory).absolute
                variables = try await surroundings.threads.asUser { try ServerEnvFile.read(path) }
            }
            variables.merge(definition.environment) { _, own in own }
            if step == .start {
                guard let port = await surroundings.choosePort(self) else {
                    throw Problem.unavailable("port \(definition.port ?? ServerPorts.first) is taken")
                }
                // One that says itself where it listens knows better, unless it was told where.
                if definition.port == nil, let own = variables["PORT"].flatMap({ Int($0) }) {
                    reserve(own)
                } else {
                    variables["PORT"] = "\(port)"
                }
            }
            let process = try await start(run, step, variables)
            state.withLock { $0.process = process }
            deliver(.launched(run))
            surroundings.changed()
            deliver(.exited(run, await process.child.exitStatus()))
        } catch {
            let reason =
                switch error {
                case let problem as Problem: problem.message
                case let failure as SpawnFailure:
                    SpawnProblem.problem(
                        for: failure, cwd: definition.directory, directory: definition.directory, shell: shell,
                        commandField: "start"
                    ).message
                default: "\(error)"
                }
            deliver(.launchFailed(run, reason))
        }
    }

    private var shell: ProcessLauncher.Shell { ProcessLauncher.shell(asked: nil, user: surroundings.compute.user) }

    private func start(
        _ run: ServerMachine.Run, _ step: ServerMachine.Step, _ variables: [String: String]
    ) async throws -> Process {
        let compute = surroundings.compute
        let shell = shell
        let environment = ProcessEnvironment.make(
            user: compute.user, shell: shell.path, compute: compute.env, call: variables)
        let text = step == .install ? definition.install ?? "" : definition.start
        var order = ProcessOrder(
            program: shell.path, arguments: [shell.path, "-c", text], environment: environment,
            searchPath: environment["PATH"] ?? ProcessEnvironment.searchPath)
        order.directory = definition.directory
        order.identity = ProcessOrder.Identity(compute.user)

        let started = try await surroundings.launcher.start(order, input: .nothing) { [log] bytes, stream in
            log.append(bytes, isError: stream == 1)
        }
        return Process(run: run, command: started, began: surroundings.clocks.now())
    }

    private func process(of run: ServerMachine.Run) -> Process? {
        state.withLock { state in state.process.flatMap { $0.run == run ? $0 : nil } }
    }

    private func signal(_ run: ServerMachine.Run, kill: Bool) {
        guard let process = process(of: run) else { return }
        // Not `terminate`, which kills the rest when the leader has gone: the leader is a shell, and what it started may
        // need its time.
        if kill { process.child.terminate(SIGKILL) } else { process.child.signal(SIGTERM) }
        // It went just before: then only the rest of its session can hear.
        if process.child.currentExitStatus != nil { signalSession(run, kill ? SIGKILL : SIGTERM) }
    }

    private func signalSession(_ run: ServerMachine.Run, _ number: Int32) {
        guard let process = process(of: run) else { return }
        Task {
            try? await surroundings.threads.asOurselves { _ = SessionMembers.signal(number, after: process.child.pid) }
        }
    }

    private func awaitSession(_ run: ServerMachine.Run, signalFirst: Bool) async {
        guard let process = process(of: run) else {
            deliver(.sessionEnded(run))
            return
        }
        let leader = process.child.pid
        if signalFirst {
            _ = try? await surroundings.threads.asOurselves { SessionMembers.signal(SIGTERM, after: leader) }
        }
        let deadline =
            surroundings.clocks.now() + .milliseconds(definition.stopTimeoutMilliseconds) + Self.killGrace
        var pause = Duration.milliseconds(5)
        while (try? await surroundings.threads.asOurselves({ !SessionMembers.alive(after: leader).isEmpty })) == true {
            guard surroundings.clocks.now() < deadline else {
                SidekickLog.write(.warning, "a server's processes could not be ended", ["session": "\(leader)"])
                break
            }
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, .milliseconds(200))
        }
        await process.command.settle()
        state.withLock { state in
            if state.process?.run == run { state.process = nil }
        }
        deliver(.sessionEnded(run))
    }

    private func probe(_ run: ServerMachine.Run, _ port: Int) async {
        guard let check = definition.healthCheck else { return }
        let status = await HealthProbe.status(
            of: port, reach: state.withLock { $0.reach }, path: check.path,
            within: .milliseconds(check.timeoutMilliseconds))
        state.withLock { $0.lastCheck = surroundings.clocks.wall.now() }
        deliver(.probed(run, status: status))
    }
}
