import ComputeCore
import LinuxSystem

/// A command made ready to start: which shell, where, with which variables.
struct PreparedCommand: Sendable {
    let order: ProcessOrder
    private let request: CommandRequest
    private let shell: ProcessLauncher.Shell
    private let directory: String

    init(_ request: CommandRequest, in compute: ComputeContext) {
        self.request = request
        shell = ProcessLauncher.shell(asked: request.shell, user: compute.user)
        directory = compute.resolve(directory: request.directory)
        let environment = ProcessEnvironment.make(
            user: compute.user, shell: shell.path, compute: compute.env, call: request.env)
        var order = ProcessOrder(
            program: shell.path, arguments: [shell.path, "-c", request.command], environment: environment,
            searchPath: environment["PATH"] ?? ProcessEnvironment.searchPath)
        order.directory = directory
        order.identity = ProcessOrder.Identity(compute.user)
        self.order = order
    }

    /// What the caller is told when it could not be started.
    func problem(for error: any Error) -> any Error {
        switch error {
        case let failure as SpawnFailure:
            SpawnProblem.problem(
                for: failure, cwd: request.directory, directory: directory, shell: shell, commandField: "command")
        case let error as LinuxSystemError: Problem.unavailable("the command could not be started: \(error)")
        default: error
        }
    }
}
