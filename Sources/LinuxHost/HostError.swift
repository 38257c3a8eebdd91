import Glibc

/// What this machine refused, or could not do in time.
package struct HostError: Error, Sendable, CustomStringConvertible {
    package struct Code: Hashable, Sendable {
        package var name: String
        package init(_ name: String) { self.name = name }

        /// This machine lacks what was asked for; asking again changes nothing.
        package static let unavailable = Code("unavailable")
        /// We may not: not root, or a mount is read-only.
        package static let notPermitted = Code("not_permitted")
        /// It is not there.
        package static let notFound = Code("not_found")
        /// It is in use, by others or by a leftover; asking later may help.
        package static let busy = Code("busy")
        package static let deadlineExceeded = Code("deadline_exceeded")
        /// The caller's task was cancelled.
        package static let cancelled = Code("cancelled")
        /// No room: disk, memory, loop devices, addresses.
        package static let exhausted = Code("exhausted")
        /// A program or a system call failed in a way that none of the others describes.
        package static let failed = Code("failed")
    }

    package var code: Code
    package var message: String
    package var cause: (any Error)?

    package init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    /// From the `errno` of a failed call.
    package init(_ message: String, errno number: Int32) {
        let code: Code =
            switch number {
            case EPERM, EACCES, EROFS: .notPermitted
            case ENOENT, ESRCH: .notFound
            case EBUSY, EEXIST, ENOTEMPTY: .busy
            case ENOSPC, ENOMEM, EMFILE, ENFILE, EDQUOT: .exhausted
            case ENOSYS, EOPNOTSUPP, ENODEV: .unavailable
            default: .failed
            }
        self.init(code, "\(message): \(String(cString: strerror(number)))")
    }

    /// From the failure of a program.
    package init(_ message: String, _ error: ToolError) {
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
