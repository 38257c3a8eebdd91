package import ComputeCore
import Glibc

/// Signals by the names that `kill` knows, with or without `SIG`, or by their numbers.
package enum SignalName {
    private static let numbers: [String: Int32] = [
        "HUP": SIGHUP, "INT": SIGINT, "QUIT": SIGQUIT, "ILL": SIGILL, "TRAP": SIGTRAP, "ABRT": SIGABRT, "BUS": SIGBUS,
        "FPE": SIGFPE, "KILL": SIGKILL, "USR1": SIGUSR1, "SEGV": SIGSEGV, "USR2": SIGUSR2, "PIPE": SIGPIPE,
        "ALRM": SIGALRM, "TERM": SIGTERM, "CHLD": SIGCHLD, "CONT": SIGCONT, "STOP": SIGSTOP, "TSTP": SIGTSTP,
        "TTIN": SIGTTIN, "TTOU": SIGTTOU, "URG": SIGURG, "XCPU": SIGXCPU, "XFSZ": SIGXFSZ, "VTALRM": SIGVTALRM,
        "PROF": SIGPROF, "WINCH": SIGWINCH, "IO": SIGIO, "SYS": SIGSYS,
    ]

    /// The field of a request that names one.
    package static func read(_ fields: FieldReader, _ name: String = "signal") throws(Problem) -> Int32 {
        let field = fields.path(name)
        let number: Int32?
        switch fields.value(name) {
        case nil: throw .invalid(field, "\(field) is required")
        case .int(let value)?: number = (1...31).contains(value) ? Int32(value) : nil
        case .string(let text)?:
            let upper = text.uppercased()
            number = numbers[upper.hasPrefix("SIG") ? String(upper.dropFirst(3)) : upper]
        case let value?: throw .invalid(field, "\(field) must be a signal's name or number, not \(value.typeName)")
        }
        guard let number else { throw .invalid(field, "\(field) is no signal: say TERM, SIGTERM or 15") }
        return number
    }
}
