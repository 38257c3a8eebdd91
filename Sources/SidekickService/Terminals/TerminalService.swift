package import ComputeCore
import Glibc
package import LinuxSystem
import Synchronization

/// Interactive shells, each in a terminal of its own. They outlive connections: only their exit or `delete` ends one.
///
/// Their output goes to the broker, where it is kept by byte offset; who watches, and how fast, is no matter here.
package final class TerminalService: Sendable {
    package static let maxTerminals = 64
    /// What is kept of input that the program in the terminal does not read.
    private static let maxPendingInput = 1 << 20
    private static let terminationGrace: Duration = .seconds(1)
    /// Public clients listen for `terminal:created` only after the answer to their POST.
    private static let announceAgain: Duration = .milliseconds(50)

    private struct Running {
        let info: TerminalInfo
        let stream: DescriptorStream
        let child: ChildProcess
        /// nil: the kernel sends them.
        let signals: TerminalSignals?
    }

    private struct State {
        var running: [TerminalID: Running] = [:]
        var starting = 0
        /// Deleted; their processes have been told to end.
        var leaving: Set<TerminalID> = []
    }

    /// Output that is kept of each. Grows with what is written.
    package let keptBytes: Int
    private let launcher: ProcessLauncher
    private let broker: EventBroker
    private let state = Mutex(State())

    package init(launcher: ProcessLauncher, broker: EventBroker, shares: MemoryShares) {
        self.launcher = launcher
        self.broker = broker
        keptBytes = shares.terminal
    }

    package func list() -> [TerminalInfo] {
        state.withLock { state in state.running.values.map(\.info) }.sorted { $0.id.rawValue < $1.id.rawValue }
    }

    package func get(_ id: TerminalID) throws(Problem) -> TerminalInfo { try running(id).info }

    /// Starts an interactive shell in a new terminal.
    package func create(_ request: TerminalRequest, in compute: ComputeContext) async throws -> TerminalInfo {
        try reservePlace()
        defer { state.withLock { $0.starting -= 1 } }
        let info = TerminalInfo(id: .random(), encoding: request.encoding)
        let shell = ProcessLauncher.shell(asked: request.shell, user: compute.user)
        let directory = compute.resolve(directory: request.directory)
        let environment = ProcessEnvironment.make(
            user: compute.user, shell: shell.path, compute: compute.env, call: request.env, terminal: true)
        var order = ProcessOrder(
            program: shell.path, arguments: [shell.path], environment: environment,
            searchPath: environment["PATH"] ?? ProcessEnvironment.searchPath)
        order.directory = directory
        order.identity = ProcessOrder.Identity(compute.user)
        order.group = .newSessionWithTerminal

        broker.open(
            info.id.channel,
            OutputFormat(types: ["terminal:output"], encoding: request.encoding, capacity: keptBytes))
        do {
            try await start(order, info, size: request.size, user: compute.user)
        } catch {
            broker.forget(info.id.channel)
            if let failure = error as? SpawnFailure {
                throw SpawnProblem.problem(
                    for: failure, cwd: request.directory, directory: directory, shell: shell, commandField: nil)
            }
            throw Problem.unavailable("the terminal could not be opened: \(error)")
        }
        announce(info.id, to: .everyone)
        // At a shell's edge: it ends by itself after one sleep, and outlives the request on purpose.
        Task {
            try? await Task.sleep(for: Self.announceAgain)
            self.announce(info.id, to: .everyone)
        }
        return info
    }

    /// Tells that it runs. Again and again, because a client hears it only while it listens: twice is harmless, never is
    /// 5 s of waiting.
    private func announce(_ id: TerminalID, to audience: EventHub.Audience) {
        guard state.withLock({ $0.running[id] != nil }) else { return }
        broker.publish(
            SocketEvent(
                "terminal:created", channel: id.channel, ["id": .string(id.rawValue), "status": .string("running")]),
            to: audience)
    }

    /// Tells a new connection which terminals run.
    package func announceAll(to connection: EventHub.ConnectionID) {
        for info in list() { announce(info.id, to: .connection(connection)) }
    }

    /// Hangs up; what does not listen is killed a little later. The terminal is gone from the list at once, and keeps its
    /// place until it has ended.
    package func delete(_ id: TerminalID) throws(Problem) {
        let terminal = try running(id)
        state.withLock { state in
            guard state.running.removeValue(forKey: id) != nil else { return }
            state.leaving.insert(id)
        }
        Self.end(terminal.child)
    }

    private static func end(_ child: ChildProcess) { child.end(SIGHUP, grace: terminationGrace) }

    /// Every terminal gets a hang-up.
    package func shutdown() {
        let children = state.withLock { state in
            defer { state.running = [:] }
            return state.running.values.map(\.child)
        }
        for child in children { Self.end(child) }
    }

    // MARK: In use

    /// Output that is kept, from a byte offset on.
    /// - Parameter limit: bytes.
    package func output(
        _ id: TerminalID, since offset: Int, upTo limit: Int, _ encoding: OutputEncoding
    ) throws(Problem) -> OutputText {
        guard let kept = broker.kept(id.channel, from: offset, upTo: limit) else { throw Self.unknown(id) }
        return OutputText(kept.piece, encoding, isLast: kept.isLast)
    }

    /// What one key or a few, pressed together, send.
    private static let mostKeyBytes = 16
    /// A program that shows what is typed does so within this, or is busy. In gVisor looking for it takes the time that it needs.
    private static let echoTime: Duration = MemoryGauge.here == .sandbox ? .zero : .microseconds(100)

    /// - Returns: false when the program has not read its input for so long that there is no room; nothing was taken.
    package func write(_ input: some Collection<UInt8>, to id: TerminalID) throws(Problem) -> Bool {
        let terminal = try running(id)
        if let rest = terminal.signals?.send(input, to: terminal.stream) { return terminal.stream.write(rest) }
        return terminal.stream.write(input, awaitingEcho: input.count <= Self.mostKeyBytes ? Self.echoTime : .zero)
    }

    package func resize(_ id: TerminalID, to size: TerminalSize) throws(Problem) {
        try running(id).stream.withDescriptor { PseudoTerminal.resize(master: $0, to: size) }
    }

    private func running(_ id: TerminalID) throws(Problem) -> Running {
        guard let terminal = state.withLock({ $0.running[id] }) else { throw Self.unknown(id) }
        return terminal
    }

    private static func unknown(_ id: TerminalID) -> Problem { .notFound("there is no terminal \(id)") }

    private func reservePlace() throws(Problem) {
        let granted = state.withLock { state in
            guard state.running.count + state.leaving.count + state.starting < Self.maxTerminals else { return false }
            state.starting += 1
            return true
        }
        guard granted else { throw .overQuota("\(Self.maxTerminals) terminals are open; delete one first") }
    }

    // MARK: Its life

    private func start(
        _ order: ProcessOrder, _ info: TerminalInfo, size: TerminalSize, user: UserIdentity
    ) async throws {
        let terminal = try PseudoTerminal.open(size)
        defer { closeDescriptor(terminal.slave) }
        if let ids = user.ids { terminal.give(toUID: ids.uid) }
        var order = order
        let signals = try TerminalSignals.make(for: terminal)
        order.companion = signals?.1
        let ended = OneShot<Void>()
        let pacing = Mutex(OutputPacing())
        let stream = try DescriptorStream(
            adopting: terminal.master, poller: launcher.poller, maxPendingInput: Self.maxPendingInput,
            pause: { [broker] count in
                let isBehind = broker.isBehind(info.id.channel)
                return pacing.withLock { $0.wait(written: count, isBehind: isBehind) }
            }
        ) { [broker] event in
            switch event {
            case .bytes(let bytes): broker.append(bytes, to: info.id.channel)
            case .end: ended.set(())
            }
        }
        let child: ChildProcess
        do {
            child = try await launcher.launch(
                order, input: terminal.slave, output: terminal.slave, error: terminal.slave)
        } catch {
            stream.finish()
            throw error
        }
        state.withLock {
            $0.running[info.id] = Running(info: info, stream: stream, child: child, signals: signals?.0)
        }
        // The terminal's own life; it ends when the process does.
        Task {
            let status = await child.exitStatus()
            await OutputSettling.settle([stream], ended: ended)
            self.ended(info.id, status)
        }
    }

    private func ended(_ id: TerminalID, _ status: ExitStatus) {
        state.withLock { state in
            state.running[id] = nil
            state.leaving.remove(id)
        }
        let event = SocketEvent(
            "terminal:destroyed", channel: id.channel,
            ["id": .string(id.rawValue), "exit_code": .int(Int64(status.shellCode))])
        broker.end(id.channel, event)
        broker.publish(event, to: .others)
        // Its output can still be asked for.
        broker.linger(id.channel, forReadersOnly: false)
    }
}
