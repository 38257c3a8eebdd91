package import ComputeCore
import Glibc

/// A signal as clients name it: `TERM`, `SIGTERM`, `term`, 15 or `"15"`.
package struct SignalNumber: Hashable, Sendable {
    package let rawValue: Int32

    package static let terminate = SignalNumber(rawValue: SIGTERM)

    private init(rawValue: Int32) { self.rawValue = rawValue }

    private static let names: [String: Int32] = [
        "HUP": SIGHUP, "INT": SIGINT, "QUIT": SIGQUIT, "ILL": SIGILL, "TRAP": SIGTRAP, "ABRT": SIGABRT,
        "BUS": SIGBUS, "FPE": SIGFPE, "KILL": SIGKILL, "USR1": SIGUSR1, "SEGV": SIGSEGV, "USR2": SIGUSR2,
        "PIPE": SIGPIPE, "ALRM": SIGALRM, "TERM": SIGTERM, "CHLD": SIGCHLD, "CONT": SIGCONT, "STOP": SIGSTOP,
        "TSTP": SIGTSTP, "TTIN": SIGTTIN, "TTOU": SIGTTOU, "URG": SIGURG, "XCPU": SIGXCPU, "XFSZ": SIGXFSZ,
        "VTALRM": SIGVTALRM, "PROF": SIGPROF, "WINCH": SIGWINCH, "IO": SIGIO, "PWR": SIGPWR, "SYS": SIGSYS,
    ]
    /// 64: the last of the real-time signals.
    private static let numbers: ClosedRange<Int64> = 1...64

    /// - Parameter absent: what a body without the field means; nil: nothing, the field has to be there.
    /// - Throws: a 400 naming the field.
    package init(_ fields: FieldReader, field name: String = "signal", absent: SignalNumber? = nil) throws(Problem) {
        let field = fields.path(name)
        let number: Int64?
        switch fields.value(name) {
        case nil:
            guard let absent else { throw .invalid(field, "\(field) is required") }
            number = Int64(absent.rawValue)
        case .int(let value)?: number = value
        case .double(let value)?: number = Int64(exactly: value)
        case .string(let text)?:
            let upper = text.uppercased()
            let plain = upper.hasPrefix("SIG") ? String(upper.dropFirst(3)) : upper
            number = Self.names[plain].map(Int64.init) ?? Int64(text)
        case let value?: throw .invalid(field, "\(field) must be a signal's name or number, not \(value.typeName)")
        }
        guard let number, Self.numbers.contains(number) else {
            throw .invalid(field, "\(field) is no signal: say TERM, SIGTERM or 15")
        }
        rawValue = Int32(number)
    }
}
