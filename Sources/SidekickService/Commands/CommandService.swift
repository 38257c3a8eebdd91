import ComputeCore
import LinuxSystem
import Synchronization

/// Runs commands to their end. It keeps nothing between calls.
package final class CommandService: Sendable {
    /// More than any real caller runs at once.
    package static let maxConcurrent = 256

    private let launcher: ProcessLauncher
    private let budget: OutputBudget
    private let running = Mutex(0)

    package init(launcher: ProcessLauncher, budget: OutputBudget) {
        self.launcher = launcher
        self.budget = budget
    }

    /// To run one into. Its caller releases it when the answer is out.
    package func output() -> CommandOutput { CommandOutput(budget: budget) }

    /// Those that answer at their end.
    package var runningCount: Int { running.withLock { $0 } }

    /// Runs `<shell> -c <command>`, and waits for its exit. Cancelling kills its process group.
    /// - Throws: `Problem`: 400 naming the field that kept it from starting, 503 when too many run.
    package func run(
        _ request: CommandRequest, in compute: ComputeContext, into output: CommandOutput
    ) async throws -> CommandResult {
        let prepared = PreparedCommand(request, in: compute)
        do {
            return try await run(prepared.order, input: request.input, timeLimit: request.timeLimit, into: output)
        } catch {
            throw prepared.problem(for: error)
        }
    }

    /// - Throws: also `SpawnFailure` and `LinuxSystemError`: it did not start.
    func run(
        _ order: ProcessOrder, input: CommandInput, timeLimit: Duration?, into output: CommandOutput
    ) async throws -> CommandResult {
        try acquire()
        defer { running.withLock { $0 -= 1 } }
        try Task.checkCancellation()

        defer { launcher.prepareNext(like: order) }
        if let result = try await run(order, input, timeLimit, into: output, mayTake: true) { return result }
        // Nothing of it ran, so it is no second time.
        try Task.checkCancellation()
        return try await run(order, input, timeLimit, into: output, mayTake: false)!
    }

    /// - Returns: nil when a shell that waited has not run it.
    private func run(
        _ order: ProcessOrder, _ input: CommandInput, _ timeLimit: Duration?, into output: CommandOutput, mayTake: Bool
    ) async throws -> CommandResult? {
        let clock = ContinuousClock()
        let start = clock.now
        let command = try await launcher.start(order, input: input, mayTake: mayTake) { bytes, stream in
            output.received(bytes, stream)
        }
        let limit = CommandDeadline.start(timeLimit, of: command.child)
        let status = await exitStatus(of: command.child)
        limit?.clock.cancel()
        let duration = clock.now - start
        command.input?.abandon()
        await command.settle()
        let timedOut = limit?.deadline.hasPassed == true
        if let waited = command.waited, !waited.hasRun, !timedOut {
            launcher.waiting?.didNotRun(waited, like: order)
            return nil
        }
        let texts = output.texts()
        return CommandResult(
            exitCode: timedOut ? CommandResult.timedOutCode : status.shellCode, stdout: texts.stdout,
            stderr: texts.stderr, duration: duration, exhausted: command.child.exhausted, timedOut: timedOut)
    }

    /// The shell of the first command starts now, while whoever sends it is still on the way.
    func prepareFirst(in compute: ComputeContext) {
        launcher.prepareNext(like: PreparedCommand(CommandRequest(command: ":"), in: compute).order)
    }

    /// Returns when the next command's shell waits for it.
    func nextIsReady(within limit: Duration) async { await launcher.waiting?.settle(within: limit) }

    private func acquire() throws(Problem) {
        let granted = running.withLock { count in
            guard count < Self.maxConcurrent else { return false }
            count += 1
            return true
        }
        guard granted else {
            throw .unavailable("\(Self.maxConcurrent) commands are running; try again when one has ended")
        }
    }

    /// Waits for the exit whatever happens: when the caller is gone, the waiting ends because the process does.
    private func exitStatus(of child: ChildProcess) async -> ExitStatus {
        await withTaskCancellationHandler {
            await child.exitStatus()
        } onCancel: {
            CommandDeadline.end(child)
        }
    }
}
