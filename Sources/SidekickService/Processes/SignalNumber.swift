package import ComputeCore
import Glibc

/// A signal as clients name it: `TERM`, `SIGTERM`, `term` or 15.
package struct SignalNumber: Hashable, Sendable {
    package let rawValue: Int32

    private static let names: [String: Int32] = [
        "HUP": SIGHUP, "INT": SIGINT, "QUIT": SIGQUIT, "ILL": SIGILL, "TRAP": SIGTRAP, "ABRT": SIGABRT,
        "BUS": SIGBUS, "FPE": SIGFPE, "KILL": SIGKILL, "USR1": SIGUSR1, "SEGV": SIGSEGV, "USR2": SIGUSR2,
        "PIPE": SIGPIPE, "ALRM": SIGALRM, "TERM": SIGTERM, "CHLD": SIGCHLD, "CONT": SIGCONT, "STOP": SIGSTOP,
        "TSTP": SIGTSTP, "TTIN": SIGTTIN, "TTOU": SIGTTOU, "URG": SIGURG, "XCPU": SIGXCPU, "XFSZ": SIGXFSZ,
        "VTALRM": SIGVTALRM, "PROF": SIGPROF, "WINCH": SIGWINCH, "IO": SIGIO, "PWR": SIGPWR, "SYS": SIGSYS,
    ]

    /// - Throws: a 400 naming the field. Absent reads as TERM.
    package init(_ fields: FieldReader, field: String = "signal") throws(Problem) {
        switch fields.value(field) {
        case nil: rawValue = SIGTERM
        case .string(let text)?:
            let upper = text.uppercased()
            let name = upper.hasPrefix("SIG") ? String(upper.dropFirst(3)) : upper
            guard let number = Self.names[name] ?? Int32(name).flatMap(Self.valid) else {
                throw .invalid(fields.path(field), "\(fields.path(field)) is not the name of a signal")
            }
            rawValue = number
        case .int, .double, .bool, .array, .object, .null:
            // 64: the last of the real-time signals.
            rawValue = Int32(try fields.integer(field, in: 1...64) ?? Int64(SIGTERM))
        }
    }

    private static func valid(_ number: Int32) -> Int32? { (1...64).contains(number) ? number : nil }
}
