import Foundation
import Logging
import Synchronization

/// Shows what the start is at when that takes long: one line that changes on a terminal, log lines elsewhere.
final class PreparationProgress: Sendable {
    /// What is done with a phase where there is no terminal.
    private let say: @Sendable (_ phase: String) -> Void
    private let isTerminal: Bool
    private let last = Mutex<(phase: String, percent: Int)>(("", -1))

    init(say: @escaping @Sendable (_ phase: String) -> Void) {
        self.say = say
        isTerminal = isatty(STDERR_FILENO) == 1
    }

    convenience init(logger: Logger) {
        self.init { logger.notice("preparing", metadata: ["phase": "\($0)"]) }
    }

    func report(_ phase: String, _ fraction: Double?) {
        let percent = fraction.map { Int(($0 * 100).rounded()) }
        let isNew = last.withLock { last in
            defer { last = (phase, percent ?? -1) }
            return isTerminal ? last != (phase, percent ?? -1) : last.phase != phase
        }
        guard isNew else { return }
        guard isTerminal else { return say(phase) }
        let done = percent == 100 ? "\n" : ""
        let text = "\r\u{1B}[K\(phase)\(percent.map { " \($0) %" } ?? "…")\(done)"
        FileHandle.standardError.write(Data(text.utf8))
    }
}
