package import ComputeCore
import Glibc
import LinuxSystem
import Synchronization

/// Terminals, and the connections that watch them. Terminals outlive connections: only their exit or `delete` ends one.
package final class TerminalService: Sendable {
    package static let maxTerminals = 64
    /// What is kept of input that the program in the terminal does not read.
    private static let maxPendingInput = 1 << 20
    /// For how long the last output of a terminal that ended unseen is kept.
    private static let keptAfterEnd: Duration = .seconds(30)
    private static let terminationGrace: Duration = .seconds(1)
    /// Public clients listen for `terminal:created` only after the answer to their POST.
    private static let announceAgain: Duration = .milliseconds(50)

    private struct Running {
        let info: TerminalInfo
        let stream: DescriptorStream
        let child: ChildProcess
    }

    private struct State: ~Copyable {
        var hub = TerminalHub()
        /// Connections that wait for their next event.
        var waiting: [TerminalHub.ConnectionID: CheckedContinuation<Void, Never>] = [:]
        var running: [TerminalID: Running] = [:]
        var starting = 0
    }

    private let launcher: ProcessLauncher
    private let state = Mutex(State())

    package init(launcher: ProcessLauncher) { self.launcher = launcher }

    // MARK: Terminals

    package func list() -> [TerminalInfo] {
        state.withLock { state in state.running.values.map(\.info) }.sorted { $0.id.rawValue < $1.id.rawValue }
    }

    package func get(_ id: TerminalID) throws(Problem) -> TerminalInfo { try running(id).info }

    /// Starts an interactive shell in a new terminal.
    package func create(
        shell asked: String?, encoding: TerminalEncoding, in compute: ComputeContext
    ) async throws -> TerminalInfo {
        try reservePlace()
        defer { state.withLock { $0.starting -= 1 } }
        let info = TerminalInfo(id: .random(), encoding: encoding)
        let shell = ProcessLauncher.shell(asked: asked, user: compute.user)
        let environment = ProcessEnvironment.make(
            user: compute.user, shell: shell.path, compute: compute.env, terminal: true)
        var order = ProcessOrder(
            program: shell.path, arguments: [shell.path], environment: environment,
            searchPath: environment["PATH"] ?? ProcessEnvironment.searchPath)
        order.directory = compute.directory
        order.identity = ProcessOrder.Identity(compute.user)
        order.group = .newSessionWithTerminal

        state.withLock { $0.hub.added(info.id, encoding) }
        do {
            try await start(order, info, user: compute.user)
        } catch {
            state.withLock { $0.hub.forgotten(info.id) }
            if let failure = error as? SpawnFailure {
                throw SpawnProblem.problem(
                    for: failure, cwd: nil, directory: compute.directory, shell: shell, commandField: nil)
            }
            throw Problem.unavailable("the terminal could not be opened: \(error)")
        }
        perform { $0.announce(info.id) }
        // At a shell's edge: it ends by itself after one sleep, and outlives the request on purpose.
        Task {
            try? await Task.sleep(for: Self.announceAgain)
            self.perform { $0.announce(info.id) }
        }
        return info
    }

    /// Hangs up; what does not listen is killed a little later. The terminal is gone from the list at once.
    package func delete(_ id: TerminalID) throws(Problem) {
        let terminal = try running(id)
        state.withLock { _ = $0.running.removeValue(forKey: id) }
        Self.end(terminal.child)
    }

    private static func end(_ child: ChildProcess) {
        child.terminate(SIGHUP)
        child.terminate(SIGCONT)
        Task {
            try? await Task.sleep(for: terminationGrace)
            child.terminate(SIGKILL)
        }
    }

    /// Every connection gets what is queued and a close; every terminal a hang-up.
    package func shutdown() {
        perform { $0.closing() }
        let children = state.withLock { state in
            defer { state.running = [:] }
            return state.running.values.map(\.child)
        }
        for child in children { Self.end(child) }
    }

    private func running(_ id: TerminalID) throws(Problem) -> Running {
        guard let terminal = state.withLock({ $0.running[id] }) else { throw .notFound("there is no terminal \(id)") }
        return terminal
    }

    private func reservePlace() throws(Problem) {
        let granted = state.withLock { state in
            guard state.running.count + state.starting < Self.maxTerminals else { return false }
            state.starting += 1
            return true
        }
        guard granted else { throw .unavailable("\(Self.maxTerminals) terminals are open; delete one first") }
    }

    private func start(_ order: ProcessOrder, _ info: TerminalInfo, user: UserIdentity) async throws {
        let terminal = try PseudoTerminal.open(.standard)
        defer { closeDescriptor(terminal.slave) }
        if let ids = user.ids { terminal.give(toUID: ids.uid) }
        let ended = OneShot<Void>()
        let stream = try DescriptorStream(
            adopting: terminal.master, poller: launcher.poller, maxPendingInput: Self.maxPendingInput
        ) { [weak self] event in
            switch event {
            case .bytes(let bytes): self?.perform { $0.output(info.id, bytes) }
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
        state.withLock { $0.running[info.id] = Running(info: info, stream: stream, child: child) }
        // The terminal's own life; it ends when the process does.
        Task {
            let status = await child.exitStatus()
            await OutputSettling.settle([stream], ended: ended)
            self.ended(info.id, exitCode: status.shellCode)
        }
    }

    private func ended(_ id: TerminalID, exitCode: Int) {
        let isKept = perform { state -> (TerminalHub.Order, Bool) in
            state.running[id] = nil
            let (order, isKept) = state.hub.ended(id, exitCode: exitCode)
            return (order, isKept)
        }
        guard isKept else { return }
        Task {
            try? await Task.sleep(for: Self.keptAfterEnd)
            self.state.withLock { $0.hub.forgotten(id) }
        }
    }

    // MARK: Connections

    /// - Returns: nil when there are too many.
    package func connect() -> TerminalHub.ConnectionID? { state.withLock { $0.hub.connected() } }

    package func disconnect(_ connection: TerminalHub.ConnectionID) {
        let waiting = state.withLock { state in
            state.hub.disconnected(connection)
            return state.waiting.removeValue(forKey: connection)
        }
        waiting?.resume()
    }

    package func announceAll(to connection: TerminalHub.ConnectionID) { perform { $0.announceAll(to: connection) } }

    /// The next event for a connection; suspends until there is one. One caller per connection.
    package func next(_ connection: TerminalHub.ConnectionID) async -> TerminalHub.Next {
        while true {
            let next = state.withLock { $0.hub.take(connection) }
            guard next == .wait else { return next }
            if Task.isCancelled { return .close(code: 1001, reason: "gone") }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let goOn = state.withLock { state -> Bool in
                        // Something may have come between the two locks.
                        if Task.isCancelled || state.hub.hasNews(connection) { return true }
                        state.waiting[connection] = continuation
                        return false
                    }
                    if goOn { continuation.resume() }
                }
            } onCancel: {
                state.withLock { $0.waiting.removeValue(forKey: connection) }?.resume()
            }
        }
    }

    /// Does what a connection asks; what cannot be done is answered on its queue.
    package func received(_ message: ClientMessage, from connection: TerminalHub.ConnectionID) {
        switch message {
        case .subscribe(let channel): perform { $0.subscribed(connection, to: channel) }
        case .unsubscribe(let channel): state.withLock { $0.hub.unsubscribed(connection, from: channel) }
        case .input(let id, let text):
            guard let terminal = state.withLock({ $0.running[id] }) else { return refuse(connection, unknown: id) }
            if !terminal.stream.write(text.utf8) {
                perform {
                    $0.refused(connection, .terminalError(id, "input dropped: the program does not read its input"))
                }
            }
        case .resize(let id, let size):
            guard let terminal = state.withLock({ $0.running[id] }) else { return refuse(connection, unknown: id) }
            terminal.stream.withDescriptor { PseudoTerminal.resize(master: $0, to: size) }
        case .refused(let reason):
            perform { $0.refused(connection, .error(reason)) }
        }
    }

    private func refuse(_ connection: TerminalHub.ConnectionID, unknown id: TerminalID) {
        perform { $0.refused(connection, .terminalError(id, "there is no such terminal")) }
    }

    // MARK: The shell's step: lock, decide, unlock, wake

    private func perform(_ step: (inout TerminalHub) -> TerminalHub.Order) {
        perform { state in (step(&state.hub), ()) }
    }

    private func perform<R>(_ step: (inout State) -> (TerminalHub.Order, R)) -> R {
        let (woken, result) = state.withLock { state -> ([CheckedContinuation<Void, Never>], R) in
            let (order, result) = step(&state)
            switch order {
            case .wake(let ids): return (ids.compactMap { state.waiting.removeValue(forKey: $0) }, result)
            case .doNothing: return ([], result)
            }
        }
        for continuation in woken { continuation.resume() }
        return result
    }
}
