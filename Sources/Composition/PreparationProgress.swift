import Foundation
import Logging
import Synchronization

/// Shows what the start is at when that takes long: one line that changes on a terminal, log lines elsewhere.
final class PreparationProgress: Sendable {
    private let logger: Logger
    private let isTerminal: Bool
    private let last = Mutex<(phase: String, percent: Int)>(("", -1))

    init(logger: Logger) {
        self.logger = logger
        isTerminal = isatty(STDERR_FILENO) == 1
    }

    func report(_ phase: String, _ fraction: Double?) {
        let percent = fraction.map { Int(($0 * 100).rounded()) }
        let isNew = last.withLock { last in
            defer { last = (phase, percent ?? -1) }
            return isTerminal ? last != (phase, percent ?? -1) : last.phase != phase
        }
        guard isNew else { return }
        guard isTerminal else { return logger.notice("preparing", metadata: ["phase": "\(phase)"]) }
        let done = percent == 100 ? "\n" : ""
        let text = "\r\u{1B}[K\(phase)\(percent.map { " \($0) %" } ?? "…")\(done)"
        FileHandle.standardError.write(Data(text.utf8))
    }
}
