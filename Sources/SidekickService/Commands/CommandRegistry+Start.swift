import ComputeCore
import LinuxSystem
import Synchronization

/// From the request to the running process.
extension CommandRegistry {
    package enum Place: Hashable, Sendable {
        case existing(TerminalID)
        /// A new id: a terminal that is made for the command, and goes with it.
        case single(TerminalID)
    }

    /// - Parameters:
    ///   - isPending: nothing runs until `start`.
    ///   - isAwaited: as if `waitBegan` came at once; `waitEnded` has to follow.
    /// - Returns: once it runs, or waits to be started.
    /// - Throws: `Problem`: 400 naming the field that kept it from starting, 404 without such a terminal, 503 when too
    ///   many run.
    package func begin(
        _ request: CommandRequest, in compute: ComputeContext, _ place: Place, isPending: Bool = false,
        isAwaited: Bool = false
    ) async throws -> CommandID {
        try Self.checkSize(request)
        let id = CommandID.random()
        try admit(id, request, in: compute, place, isPending: isPending, isAwaited: isAwaited)
        if isPending {
            // At a shell's edge: it ends by itself after one sleep, and outlives the request on purpose.
            Task {
                try? await Task.sleep(for: self.pendingLimit)
                self.expire(id)
            }
        } else {
            do {
                try await launch(id, request, compute)
            } catch {
                state.withLock { state in
                    state.table.notStarted(id)
                    state.handles.removeValue(forKey: id)?.gate.open()
                }
                broker.forget(id.channel)
                throw error
            }
        }
        return id
    }

    /// No kernel starts a longer one, and nobody shall make us hold it until it has been tried.
    private static let maxCommandBytes = 128 << 10
    private static let maxEnvBytes = 1 << 20

    private static func checkSize(_ request: CommandRequest) throws(Problem) {
        guard request.command.utf8.count < maxCommandBytes else {
            throw .invalid("command", "command is too long to start")
        }
        guard request.env.reduce(0, { $0 + $1.key.utf8.count + $1.value.utf8.count }) <= maxEnvBytes else {
            throw .invalid("env", "env is too long to start")
        }
        if case .text(let text) = request.input, text.utf8.count > StartedCommand.maxPendingInput {
            throw .invalid(
                "stdin", "stdin may have \(StartedCommand.maxPendingInput) bytes here; say true and send it in parts")
        }
    }

    private func admit(
        _ id: CommandID, _ request: CommandRequest, in compute: ComputeContext, _ place: Place, isPending: Bool,
        isAwaited: Bool
    ) throws(Problem) {
        let (terminal, isSingle) =
            switch place {
            case .existing(let terminal): (terminal, false)
            case .single(let terminal): (terminal, true)
            }
        let (admission, limits, encoding) = state.withLock { state in
            let admission = state.table.admitted(
                id, request.command, in: terminal, isSingle: isSingle, isPending: isPending, isAwaited: isAwaited)
            if case .granted = admission {
                state.handles[id] = Handle(request: request, compute: compute, terminal: terminal)
            }
            return (admission, state.table.limits, state.table.terminal(terminal)?.encoding ?? .raw)
        }
        switch admission {
        case .granted(let capacity):
            // Before the answer, so that whoever has it can subscribe.
            broker.open(
                id.channel,
                OutputFormat(
                    types: ["command:stdout", "command:stderr"], encoding: encoding,
                    fields: ["terminal_id": .string(terminal.rawValue), "cmd_id": .string(id.rawValue)],
                    capacity: capacity))
        case .noSuchTerminal: throw Self.unknown(terminal)
        case .tooManyActive:
            throw .unavailable("\(limits.active) commands are running; try again when one has ended")
        case .tooManyPending:
            throw .unavailable("\(limits.pending) commands wait for command:start; start them, or try again later")
        }
    }

    /// One that waits for it. A start that fails is told on its channel, as the end of the command; what cannot be started
    /// at all, on the same to who asked.
    package func start(_ id: CommandID, for connection: EventHub.ConnectionID) async {
        do throws(Problem) {
            try await start(id)
        } catch {
            broker.publish(.error(error.message, channel: id.channel), to: .connection(connection))
        }
    }

    private func start(_ id: CommandID) async throws(Problem) {
        let (order, request, compute) = state.withLock { state in
            let order = state.table.startRequested(id)
            guard order == .start else { return (order, CommandRequest?.none, ComputeContext?.none) }
            return (order, state.handles[id]?.request, state.handles[id]?.compute)
        }
        switch order {
        case .start: break
        case .alreadyStarted: throw Problem(status: 409, code: .conflict, message: "the command has started before")
        case .expired:
            throw Problem(status: 409, code: .conflict, message: "the command was not started in time and has expired")
        case .unknown: throw .notFound("there is no command \(id)")
        }
        guard let request, let compute else { return }
        do {
            try await launch(id, request, compute)
        } catch {
            let problem = error as? Problem ?? .unavailable("the command could not be started: \(error)")
            Array("\(problem.message)\n".utf8).withUnsafeBytes { broker.append($0, to: id.channel, stream: 1) }
            // As a shell says it that finds no program, or may not execute it.
            finish(id, exitCode: problem.field == nil ? 126 : 127, .notStarted, after: .zero)
        }
    }

    private func launch(_ id: CommandID, _ request: CommandRequest, _ compute: ComputeContext) async throws {
        let prepared = PreparedCommand(request, in: compute)
        let start = ContinuousClock.now
        let command: StartedCommand
        do {
            command = try await launcher.start(prepared.order, input: request.input) { [broker] bytes, stream in
                broker.append(bytes, to: id.channel, stream: stream)
            }
        } catch {
            throw prepared.problem(for: error)
        }
        let now = clock.now()
        let order = state.withLock { state in
            state.handles[id]?.request = nil
            state.handles[id]?.child = command.child
            state.handles[id]?.input = command.input
            return state.table.started(id, at: now)
        }
        let limit = CommandDeadline.start(request.timeLimit, of: command.child)
        if order == .endIt { CommandDeadline.end(command.child) }
        // The command's own life; it ends when the process does.
        Task {
            let status = await command.child.exitStatus()
            let duration = ContinuousClock.now - start
            limit?.clock.cancel()
            command.input?.abandon()
            await command.settle()
            let timedOut = limit?.deadline.hasPassed == true
            self.finish(
                id, exitCode: timedOut ? CommandResult.timedOutCode : status.shellCode,
                timedOut ? .timedOut : command.child.exhausted.map(CommandEnd.Cause.init) ?? .exited, after: duration)
        }
    }
}
