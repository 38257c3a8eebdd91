package import ComputeCore
import Glibc
import LinuxSystem

/// Code to run in one of the languages.
package struct CodeRequest: Hashable, Sendable {
    package var code: String
    package var language: CodeLanguage
    /// Nobody named it.
    package var isDetected: Bool
    package var directory: String?
    package var env: [String: String]
    package var timeLimit: Duration?

    /// - Throws: a 400 that names the field.
    package init(_ fields: FieldReader) throws(Problem) {
        code = try CommandRequest.text(fields.requiredString("code"), "code")
        let name = try fields.string("language").flatMap { $0.isEmpty ? nil : $0 }
        if let name {
            guard let known = CodeLanguage(named: name) else {
                let names = CodeLanguage.allCases.map(\.rawValue).joined(separator: ", ")
                throw .invalid("language", "language \(name.prefix(64)) is not supported; there are \(names)")
            }
            language = known
        } else {
            language = .detect(code)
        }
        isDetected = name == nil
        directory = try CommandRequest.text("cwd", of: fields)
        env = try fields.strings("env") ?? [:]
        try ProcessEnvironment.validate(env, field: fields.path("env"))
        timeLimit = try CommandRequest.timeLimit(fields)
    }
}

/// Runs code by the interpreters of the compute.
package struct CodeService: Sendable {
    /// What shells say when there is no such program, and when there is one that cannot be run.
    private static let missing = 127
    private static let unusable = 126

    private let commands: CommandService

    package init(commands: CommandService) { self.commands = commands }

    /// To run code into. Its caller releases it when the answer is out.
    package func output() -> CommandOutput { commands.output() }

    /// A missing interpreter is a result, as it would be in a shell. Cancelling kills the process group.
    /// - Throws: `Problem`.
    package func run(
        _ request: CodeRequest, in compute: ComputeContext, into output: CommandOutput
    ) async throws -> CommandResult {
        let shell = ProcessLauncher.shell(asked: nil, user: compute.user)
        let environment = ProcessEnvironment.make(
            user: compute.user, shell: shell.path, compute: compute.env, call: request.env)
        let path = environment["PATH"] ?? ProcessEnvironment.searchPath
        let (arguments, input) = request.language.invocation(of: request.code)
        let directory = compute.resolve(directory: request.directory)
        var unusable: SpawnFailure?
        for program in request.language.programs {
            var order = ProcessOrder(
                program: program, arguments: [program] + arguments, environment: environment, searchPath: path)
            order.directory = directory
            order.identity = ProcessOrder.Identity(compute.user)
            do {
                return try await commands.run(order, input: input, timeLimit: request.timeLimit, into: output)
            } catch let failure as SpawnFailure {
                guard failure.step == .execute, SpawnProblem.isMissing(failure.code.errno) else {
                    throw SpawnProblem.problem(
                        for: failure, cwd: request.directory, directory: directory, shell: shell, commandField: "code")
                }
                if failure.code.errno != ENOENT, failure.code.errno != ENOTDIR { unusable = failure }
            } catch let error as LinuxSystemError {
                throw Problem.unavailable("the code could not be started: \(error)")
            }
        }
        let names = request.language.programs.joined(separator: " or ")
        let text =
            unusable.map { "\(names): \($0)" }
            ?? "\(names): not found in the PATH of the compute (\(path)); install it to run \(request.language.rawValue)"
        return CommandResult(
            exitCode: unusable == nil ? Self.missing : Self.unusable,
            stdout: OutputCapture.Text(text: "", isTruncated: false),
            stderr: OutputCapture.Text(text: text + "\n", isTruncated: false), duration: .zero, exhausted: nil,
            timedOut: false)
    }
}
