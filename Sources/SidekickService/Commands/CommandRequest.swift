package import ComputeCore
package import LinuxSystem

/// One command as asked for, whoever asks.
package struct CommandRequest: Hashable, Sendable {
    /// What a day-long build needs, and far below what a clock can count.
    private static let longestTimeLimit: Int64 = 7 * 86_400_000

    /// Handed to the shell as it is.
    package var command: String
    package var shell: String?
    /// Absolute, or relative to the compute's working directory.
    package var directory: String?
    package var env: [String: String]
    package var input: CommandInput
    /// When it is over, the process group is ended; nil: never.
    package var timeLimit: Duration?

    package init(
        command: String, shell: String? = nil, directory: String? = nil, env: [String: String] = [:],
        input: CommandInput = .nothing, timeLimit: Duration? = nil
    ) {
        self.command = command
        self.shell = shell
        self.directory = directory
        self.env = env
        self.input = input
        self.timeLimit = timeLimit
    }

    /// - Throws: a 400 that names the field. Unknown fields are ignored: clients send some of their own.
    package init(_ fields: FieldReader) throws(Problem) {
        command = try Self.text(fields.requiredString("command"), "command")
        shell = try Self.text("shell", of: fields)
        directory = try Self.text("cwd", of: fields)
        env = try fields.strings("env") ?? [:]
        try ProcessEnvironment.validate(env, field: fields.path("env"))
        input = try CommandInput(fields)
        timeLimit = try Self.timeLimit(fields)
    }

    /// `timeout_ms`; 0: none.
    static func timeLimit(_ fields: FieldReader) throws(Problem) -> Duration? {
        // Clients keep their own timeouts, in units of their own; one that was taken and not kept would be worse than none.
        if let timeout = fields.value("timeout"), timeout != .null {
            throw Problem(
                status: 400, code: .unsupportedField,
                message: "timeout is not supported: say timeout_ms, in milliseconds", field: "timeout")
        }
        let milliseconds = try fields.integer("timeout_ms", in: 0...longestTimeLimit)
        return milliseconds.flatMap { $0 == 0 ? nil : .milliseconds($0) }
    }

    /// A text that a process can be given; nil when it is not there.
    static func text(_ name: String, of fields: FieldReader) throws(Problem) -> String? {
        guard let value = try fields.string(name) else { return nil }
        return try text(value, name)
    }

    static func text(_ value: String, _ field: String) throws(Problem) -> String {
        guard !value.isEmpty else { throw .invalid(field, "\(field) must not be empty") }
        guard !value.utf8.contains(0) else { throw .invalid(field, "\(field) must not contain NUL") }
        return value
    }
}

/// What came of it. A non-zero exit code is a result, not an error.
package struct CommandResult: Sendable {
    /// What `timeout` of the coreutils says.
    package static let timedOutCode = 124

    package var exitCode: Int
    package var stdout: OutputCapture.Text
    package var stderr: OutputCapture.Text
    package var duration: Duration
    /// What the compute had too little of, so that it was killed; nil: it was not.
    package var exhausted: ExhaustedResource?
    /// Ended because its time was over; the exit code says 124 then.
    package var timedOut: Bool
}
