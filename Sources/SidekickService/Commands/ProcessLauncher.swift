package import ComputeCore
import Glibc
package import LinuxSystem
import NIOPosix

/// Starts processes as a user, for commands and terminals alike.
package final class ProcessLauncher: Sendable {
    package let reaper: Reaper
    package let poller: Poller
    /// nil: every command starts a shell.
    let waiting: WaitingShells?
    private let limits: UserLimits
    /// A start blocks for the milliseconds from fork to exec. Four at once keep two cores busy; more would only
    /// take turns.
    private let threads: NIOThreadPool

    package init(
        reaper: Reaper, poller: Poller, limits: UserLimits = UserLimits(), waiting: WaitingShells? = nil
    ) {
        self.reaper = reaper
        self.poller = poller
        self.waiting = waiting
        self.limits = limits
        threads = NIOThreadPool(numberOfThreads: 4)
        threads.start()
    }

    /// What the shell of a call is, and how it was chosen.
    package struct Shell: Hashable, Sendable {
        package let path: String
        /// The caller named it, so the caller is told when it is not there.
        package let isExplicit: Bool
    }

    /// The asked one, else the user's, else `/bin/sh`. An account whose shell refuses logins still runs commands.
    package static func shell(asked: String?, user: UserIdentity) -> Shell {
        if let asked { return Shell(path: asked, isExplicit: true) }
        let refusing = ["nologin", "false"].contains { user.shell.hasSuffix("/\($0)") }
        let usable = user.shell.hasPrefix("/") && !refusing && access(user.shell, X_OK) == 0
        return Shell(path: usable ? user.shell : "/bin/sh", isExplicit: false)
    }

    /// - Throws: `SpawnFailure`.
    package func launch(
        _ order: ProcessOrder, input: Int32, output: Int32, error: Int32
    ) async throws -> ChildProcess {
        let order = limited(order)
        return try await threads.runIfActive { [reaper] in
            try reaper.spawn(order, input: input, output: output, error: error)
        }
    }

    /// A shell will wait for the next command like this one; it is started meanwhile.
    func prepareNext(like order: ProcessOrder) {
        guard let waiting else { return }
        let order = limited(order)
        threads.submit { state in
            if case .active = state { waiting.prepare(like: order) }
        }
    }

    private func limited(_ order: ProcessOrder) -> ProcessOrder {
        var order = order
        order.processLimit = limits.processes
        order.fileLimit = limits.files
        return order
    }
}

extension ProcessOrder.Identity {
    init?(_ user: UserIdentity) {
        guard let ids = user.ids else { return nil }
        self.init(uid: ids.uid, gid: ids.gid, supplementary: ids.supplementary)
    }
}

extension ComputeContext {
    /// Relative paths count from the working directory.
    func resolve(directory path: String?) -> String {
        guard let path else { return directory }
        return path.hasPrefix("/") ? path : "\(directory)/\(path)"
    }
}

/// Which of the caller's fields a failed start speaks about.
package enum SpawnProblem {
    /// What a shell answers that is not there, or that this machine cannot run.
    static func isMissing(_ errno: Int32) -> Bool { [ENOENT, ENOTDIR, EACCES, ENOEXEC, ELIBBAD].contains(errno) }

    /// gVisor says of one argument that is too long what Linux says of a path.
    private static func isTooLong(_ errno: Int32, _ shell: ProcessLauncher.Shell) -> Bool {
        errno == E2BIG || (errno == ENAMETOOLONG && shell.path.utf8.count < PATH_MAX)
    }

    package static func problem(
        for failure: SpawnFailure, cwd: String?, directory: String, shell: ProcessLauncher.Shell, commandField: String?
    ) -> Problem {
        let reason = LinuxSystemError(failure.code, failure.step.rawValue).reason
        switch failure.step {
        case .directory:
            if let cwd { return .invalid("cwd", "cwd \(cwd): \(reason)") }
            return Problem(status: 409, code: .conflict, message: "the working directory \(directory): \(reason)")
        case .execute where isTooLong(failure.code.errno, shell):
            return Problem(
                status: 400, code: .invalidRequest, message: "the command and its environment are too long to start",
                field: commandField)
        case .fork where failure.code.errno == EAGAIN, .execute where failure.code.errno == EAGAIN:
            return .unavailable("the process could not be started: too many processes run")
        case .execute where !shell.isExplicit && isMissing(failure.code.errno):
            return Problem(
                status: 409, code: .conflict,
                message: "the image has no shell that runs: \(shell.path): \(reason). Name one with \"shell\"",
                field: "shell")
        case .execute where shell.isExplicit && failure.code.errno != EAGAIN && failure.code.errno != ENOMEM:
            return .invalid("shell", "shell \(shell.path): \(reason)")
        case .arguments:
            return Problem(status: 400, code: .invalidRequest, message: "a string contains NUL", field: commandField)
        case .fork, .execute, .limits:
            return .unavailable("the process could not be started (\(failure.step.rawValue)): \(reason)")
        case .session, .standardStreams, .terminal, .groups, .gid, .uid, .verifyIdentity, .parent:
            // An identity that does not hold is our own failure, and nothing was started.
            return Problem(
                status: 500, code: .internalError,
                message: "the process could not be started (\(failure.step.rawValue)): \(reason)")
        }
    }
}
