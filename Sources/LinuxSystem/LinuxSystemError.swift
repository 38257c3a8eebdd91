import Glibc

/// A system call that failed.
package struct LinuxSystemError: Error, Hashable, Sendable, CustomStringConvertible {
    package let code: Code
    /// Which step failed, such as `open`.
    package let step: String
    /// What it was about: a path, a program.
    package let subject: String

    package init(_ code: Code, _ step: String, _ subject: String = "") {
        self.code = code
        self.step = step
        self.subject = subject
    }

    /// An errno.
    package struct Code: Hashable, Sendable {
        package let errno: Int32
        package init(errno: Int32) { self.errno = errno }

        package static let notFound = Code(errno: ENOENT)
        package static let notPermitted = Code(errno: EPERM)
        package static let accessDenied = Code(errno: EACCES)
        package static let isDirectory = Code(errno: EISDIR)
        package static let notDirectory = Code(errno: ENOTDIR)
        package static let alreadyThere = Code(errno: EEXIST)
        /// A directory was to be put into itself.
        package static let intoItself = Code(errno: EINVAL)
        package static let crossesMount = Code(errno: EXDEV)
        package static let tooLarge = Code(errno: EFBIG)
        /// Something else changed the same place at the same time.
        package static let changedMeanwhile = Code(errno: ESTALE)
        /// A device, pipe or socket where a regular file is needed.
        package static let notRegularFile = Code(errno: ENODEV)
    }

    /// Takes errno; call it at once after the failing call.
    package static func last(_ step: String, _ subject: String = "") -> LinuxSystemError {
        LinuxSystemError(Code(errno: Glibc.errno), step, subject)
    }

    package var reason: String { String(cString: strerror(code.errno)) }
    package var description: String { subject.isEmpty ? "\(step): \(reason)" : "\(step) \(subject): \(reason)" }
}
