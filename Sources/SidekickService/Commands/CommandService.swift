import ComputeCore
import Glibc
import LinuxSystem
import Synchronization

/// Runs commands to their end. It keeps nothing between calls.
package final class CommandService: Sendable {
    /// More than any real caller runs at once, and few enough that their outputs fit into memory in practice.
    package static let maxConcurrent = 256
    /// What a command gets between the polite signal and the other one, when its caller has gone.
    private static let terminationGrace: Duration = .seconds(2)

    private let launcher: ProcessLauncher
    private let running = Mutex(0)

    package init(launcher: ProcessLauncher) { self.launcher = launcher }

    /// Runs `<shell> -c <command>` with nothing to read, and waits for its exit. Cancelling kills its process group.
    /// - Throws: `Problem`: 400 naming the field that kept it from starting, 503 when too many run.
    package func run(_ request: CommandRequest, in compute: ComputeContext) async throws -> CommandResult {
        try acquire()
        defer { running.withLock { $0 -= 1 } }
        try Task.checkCancellation()

        let clock = ContinuousClock()
        let start = clock.now
        let shell = ProcessLauncher.shell(asked: request.shell, user: compute.user)
        let directory = compute.resolve(directory: request.directory)
        let environment = ProcessEnvironment.make(
            user: compute.user, shell: shell.path, compute: compute.env, call: request.env)
        var order = ProcessOrder(
            program: shell.path, arguments: [shell.path, "-c", request.command], environment: environment,
            searchPath: environment["PATH"] ?? ProcessEnvironment.searchPath)
        order.directory = directory
        order.identity = ProcessOrder.Identity(compute.user)

        let output = CommandOutput()
        let child: ChildProcess
        let streams: [DescriptorStream]
        do {
            (child, streams) = try await launch(order, output)
        } catch let failure as SpawnFailure {
            throw SpawnProblem.problem(
                for: failure, cwd: request.directory, directory: directory, shell: shell, commandField: "command")
        } catch let error as LinuxSystemError {
            throw Problem.unavailable("the command could not be started: \(error)")
        }

        let status = await exitStatus(of: child)
        let duration = clock.now - start
        await output.settle(streams)
        let texts = output.texts()
        return CommandResult(
            exitCode: status.shellCode, stdout: texts.stdout, stderr: texts.stderr, duration: duration,
            ranOutOfMemory: child.ranOutOfMemory)
    }

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

    private func launch(
        _ order: ProcessOrder, _ output: CommandOutput
    ) async throws -> (ChildProcess, [DescriptorStream]) {
        let null = try openNullDevice()
        defer { closeDescriptor(null) }
        let stdout = try Pipe.open()
        defer { closeDescriptor(stdout.writeEnd) }
        let stderr: Pipe
        do {
            stderr = try Pipe.open()
        } catch {
            closeDescriptor(stdout.readEnd)
            throw error
        }
        defer { closeDescriptor(stderr.writeEnd) }
        // Reading begins before the start: if it cannot, nothing runs.
        let streams = try output.read(stdout.readEnd, stderr.readEnd, launcher.poller)
        do {
            let child = try await launcher.launch(
                order, input: null, output: stdout.writeEnd, error: stderr.writeEnd)
            return (child, streams)
        } catch {
            for stream in streams { stream.finish() }
            throw error
        }
    }

    /// Waits for the exit whatever happens: when the caller is gone, the waiting ends because the process does.
    private func exitStatus(of child: ChildProcess) async -> ExitStatus {
        await withTaskCancellationHandler {
            await child.exitStatus()
        } onCancel: {
            child.terminate(SIGTERM)
            // Outlives the cancelled task by design; it ends with its one sleep.
            Task.detached {
                try? await Task.sleep(for: Self.terminationGrace)
                child.terminate(SIGKILL)
            }
        }
    }
}
