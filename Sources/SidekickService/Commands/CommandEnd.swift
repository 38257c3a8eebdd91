package import ComputeCore
package import LinuxSystem

/// How a command ended.
package struct CommandEnd: Hashable, Sendable {
    package enum Cause: String, Hashable, Sendable {
        case exited
        case timedOut = "timed_out"
        case outOfMemory = "out_of_memory"
        case tooManyProcesses = "too_many_processes"
        case notStarted = "not_started"
        /// Nobody said `command:start` in time.
        case expired

        package init(_ exhausted: ExhaustedResource) {
            self =
                switch exhausted {
                case .memory: .outOfMemory
                case .processes: .tooManyProcesses
                }
        }
    }

    /// nil: nothing ran.
    package let exitCode: Int?
    package let cause: Cause
    package let at: WallTime
    package let duration: Duration

    package init(exitCode: Int?, cause: Cause, at: WallTime, duration: Duration) {
        self.exitCode = exitCode
        self.cause = cause
        self.at = at
        self.duration = duration
    }
}

/// A terminal without a shell of its own: a holder of commands, and what they have in common.
package struct ExecTerminal: Hashable, Sendable {
    package let id: TerminalID
    package var shell: String?
    package var directory: String?
    package var env: [String: String]
    /// Of the events of its commands.
    package var encoding: OutputEncoding

    package init(
        id: TerminalID, shell: String? = nil, directory: String? = nil, env: [String: String] = [:],
        encoding: OutputEncoding = .raw
    ) {
        self.id = id
        self.shell = shell
        self.directory = directory
        self.env = env
        self.encoding = encoding
    }
}
