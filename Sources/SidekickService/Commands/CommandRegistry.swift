package import ComputeCore
import Glibc
import LinuxSystem
import Synchronization

/// Commands that outlive their request, and the exec terminals they belong to. The shell of `CommandTable`.
///
/// Their output goes to the broker, where it is kept by byte offset until the command is forgotten.
package final class CommandRegistry: Sendable {
    /// What waits for `command:start` longer than this has no caller any more.
    package static let pendingLimit: Duration = .seconds(60)

    struct Handle {
        /// nil: it has started.
        var request: CommandRequest?
        let compute: ComputeContext
        let terminal: TerminalID
        let gate = CommandGate()
        var child: ChildProcess?
        var input: PipeWriter?
    }

    struct State: ~Copyable {
        var table: CommandTable
        var handles: [CommandID: Handle] = [:]
    }

    let launcher: ProcessLauncher
    let broker: EventBroker
    let clock: any WallClock
    let pendingLimit: Duration
    let state: Mutex<State>

    package init(
        launcher: ProcessLauncher, broker: EventBroker, clock: any WallClock, limits: CommandLimits = CommandLimits(),
        pendingLimit: Duration = CommandRegistry.pendingLimit
    ) {
        self.launcher = launcher
        self.broker = broker
        self.clock = clock
        self.pendingLimit = pendingLimit
        state = Mutex(State(table: CommandTable(limits: limits)))
    }

    // MARK: - Terminals

    /// - Throws: `Problem`: 400 naming the `shell` or `cwd` that no command could be started with, 429 when there are too many.
    package func createTerminal(_ terminal: ExecTerminal, in compute: ComputeContext) async throws {
        let (granted, limit) = state.withLock { ($0.table.terminalRequested(terminal), $0.table.limits.terminals) }
        guard granted else { throw Problem.overQuota("\(limit) terminals are open; delete one first") }
        guard terminal.shell != nil || terminal.directory != nil else { return }
        do {
            try await tryOut(terminal, in: compute)
        } catch {
            _ = deleteTerminal(terminal.id)
            throw error
        }
    }

    /// Starting is the one question to the kernel that has the same answer as a start.
    private func tryOut(_ terminal: ExecTerminal, in compute: ComputeContext) async throws {
        let nothing = CommandRequest(
            command: ":", shell: terminal.shell, directory: terminal.directory, env: terminal.env)
        let prepared = PreparedCommand(nothing, in: compute)
        do {
            let started = try await launcher.start(prepared.order, input: .nothing) { _, _ in }
            started.child.terminate(SIGKILL)
            _ = await started.child.exitStatus()
            await started.settle()
        } catch {
            throw prepared.problem(for: error)
        }
    }

    /// Those that were asked for.
    package var terminals: [ExecTerminal] { state.withLock { $0.table.execTerminals } }

    /// Also one that was made for a command of its own.
    package func terminal(_ id: TerminalID) -> ExecTerminal? { state.withLock { $0.table.terminal(id) } }

    /// Its commands are ended and forgotten.
    /// - Returns: false: there is none.
    package func deleteTerminal(_ id: TerminalID) -> Bool {
        guard let removals = state.withLock({ $0.table.terminalRemoved(id) }) else { return false }
        for (command, removal) in removals { perform(removal, command) }
        return true
    }

    // MARK: - Commands in use

    package func command(_ id: CommandID, in terminal: TerminalID) throws(Problem) -> CommandTable.Entry {
        let (entry, isKnown) = state.withLock { ($0.table.command(id), $0.table.terminal(terminal) != nil) }
        guard isKnown else { throw Self.unknown(terminal) }
        guard let entry, entry.terminal == terminal else {
            throw .notFound("there is no command \(id) in terminal \(terminal)")
        }
        return entry
    }

    /// In the order they were asked for.
    package func commands(in terminal: TerminalID) throws(Problem) -> [CommandTable.Entry] {
        let (isKnown, entries) = state.withLock {
            ($0.table.terminal(terminal) != nil, $0.table.commands(in: terminal))
        }
        guard isKnown else { throw Self.unknown(terminal) }
        return entries
    }

    /// Of all terminals.
    package var commands: [CommandTable.Entry] { state.withLock { $0.table.commands() } }

    /// Those that have a process, or are about to.
    package var runningCount: Int { state.withLock { $0.table.runningCount } }

    package func command(_ id: CommandID) -> CommandTable.Entry? { state.withLock { $0.table.command(id) } }

    /// Until `waitEnded` it is not forgotten to make room. Whoever waits says so before, and looks at it before the end.
    package func waitBegan(_ id: CommandID) { state.withLock { $0.table.waitBegan(id) } }

    package func waitEnded(_ id: CommandID) { forget(state.withLock { $0.table.waitEnded(id) }) }

    /// Waits until it has ended, or is gone.
    /// - Returns: false: the time is over.
    package func wait(
        for id: CommandID, in terminal: TerminalID, atMost limit: Duration
    ) async throws -> Bool {
        _ = try command(id, in: terminal)
        guard let gate = state.withLock({ $0.handles[id]?.gate }) else { return true }
        let hasEnded = await gate.wait(atMost: limit)
        try Task.checkCancellation()
        return hasEnded
    }

    /// Waits for the exit. Cancelling kills the process group.
    package func waitForEnd(of id: CommandID, in terminal: TerminalID) async throws {
        guard let gate = state.withLock({ $0.handles[id]?.gate }) else { return }
        guard await !gate.wait() else { return }
        if let child = state.withLock({ $0.handles[id]?.child }) { CommandDeadline.end(child) }
        throw CancellationError()
    }

    /// What is kept of an output from a byte offset on.
    /// - Parameter stream: 0 is stdout, 1 stderr.
    /// - Returns: also whether nothing will follow.
    /// - Throws: a 404 when the command has been forgotten, perhaps only just.
    package func output(
        of id: CommandID, stream: Int, since offset: Int = 0, upTo limit: Int = .max, _ encoding: OutputEncoding = .raw
    ) throws(Problem) -> (text: OutputText, isLast: Bool) {
        guard let kept = broker.kept(id.channel, stream: stream, from: offset, upTo: limit) else {
            throw .notFound("there is no command \(id) any more")
        }
        return (OutputText(kept.piece, encoding, isLast: kept.isLast), kept.isLast)
    }

    package enum InputOutcome: Hashable, Sendable {
        case taken
        /// The command has not read for so long that there is no room; nothing was taken.
        case full
        /// It has ended, or closed its input.
        case closed
        /// It was started without.
        case noInput
        /// It waits for its start.
        case notStarted
    }

    package func write(_ bytes: [UInt8], isLast: Bool, to id: CommandID, in terminal: TerminalID) throws(Problem)
        -> InputOutcome
    {
        let entry = try command(id, in: terminal)
        guard let input = state.withLock({ $0.handles[id]?.input }) else {
            switch entry.state {
            case .pending, .starting: return .notStarted
            case .running: return .noInput
            case .ended, .leaving: return .closed
            }
        }
        switch input.write(bytes) {
        case .taken:
            if isLast { input.finish() }
            return .taken
        case .full: return .full
        case .closed: return .closed
        }
    }

    /// To the whole process group.
    /// - Returns: false: nothing runs.
    package func signal(_ number: Int32, to id: CommandID, in terminal: TerminalID) throws(Problem) -> Bool {
        _ = try command(id, in: terminal)
        guard let child = state.withLock({ $0.handles[id]?.child }), child.currentExitStatus == nil else {
            return false
        }
        child.signal(number)
        return true
    }

    static func unknown(_ id: TerminalID) -> Problem { .notFound("there is no terminal \(id)") }
}
