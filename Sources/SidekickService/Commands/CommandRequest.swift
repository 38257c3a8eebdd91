package import ComputeCore

/// One command to run to its end, as asked for by `POST /run/command`.
package struct CommandRequest: Hashable, Sendable {
    /// Handed to the shell as it is.
    package var command: String
    package var shell: String?
    /// Absolute, or relative to the compute's working directory.
    package var directory: String?
    package var env: [String: String]

    package init(command: String, shell: String? = nil, directory: String? = nil, env: [String: String] = [:]) {
        self.command = command
        self.shell = shell
        self.directory = directory
        self.env = env
    }

    /// - Throws: a 400 that names the field. Unknown fields are ignored: clients send some of their own.
    package init(_ fields: FieldReader) throws(Problem) {
        command = try Self.text(fields.requiredString("command"), "command")
        shell = try fields.string("shell").map { value throws(Problem) in try Self.text(value, "shell") }
        directory = try fields.string("cwd").map { value throws(Problem) in try Self.text(value, "cwd") }
        env = try fields.strings("env") ?? [:]
        try ProcessEnvironment.validate(env, field: fields.path("env"))
        // Clients keep their own timeouts; one that was taken and not kept would be worse than none.
        if let timeout = fields.value("timeout"), timeout != .null {
            throw Problem(
                status: 400, code: .unsupportedField,
                message: "timeout is not supported: close the connection, and the command is ended", field: "timeout")
        }
        for mode in ["background", "stream"] where try fields.bool(mode) == true {
            throw Problem(
                status: 400, code: .unsupportedField,
                message: "\(mode) is not supported yet: leave it out or send false, and the answer comes at the end",
                field: mode)
        }
    }

    private static func text(_ value: String, _ field: String) throws(Problem) -> String {
        guard !value.isEmpty else { throw .invalid(field, "\(field) must not be empty") }
        guard !value.utf8.contains(0) else { throw .invalid(field, "\(field) must not contain NUL") }
        return value
    }
}

/// What came of it. A non-zero exit code is a result, not an error.
package struct CommandResult: Sendable {
    package var exitCode: Int
    package var stdout: OutputCapture.Text
    package var stderr: OutputCapture.Text
    package var duration: Duration
    /// Killed because the compute had no memory left.
    package var ranOutOfMemory: Bool
}
