/// How a process ended.
package enum ExitStatus: Hashable, Sendable {
    case exited(Int32)
    case signalled(Int32)

    /// One number for both, as shells count: the exit code, or 128 + the signal.
    package var shellCode: Int {
        switch self {
        case .exited(let code): Int(code)
        case .signalled(let signal): 128 + Int(signal)
        }
    }
}
