import LinuxHost

/// What `runsc` refused, or did not do in time.
package struct RunscError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Hashable {
        /// gVisor cannot run on this machine, or not for this user.
        case unavailable
        case deadlineExceeded
        /// The caller's task was cancelled.
        case cancelled
        case failed
    }
    package var code: Code
    package var message: String
    package var cause: (any Error)?

    package init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    init(_ message: String, _ error: ToolError) {
        let code: Code =
            switch error.code {
            case .missing: .unavailable
            case .deadlineExceeded: .deadlineExceeded
            case .cancelled: .cancelled
            case .failed, .cannotRun: .failed
            }
        self.init(code, "\(message): \(error)", cause: error)
    }

    package var description: String { message }
}
