import Glibc
import LinuxSystem
import Synchronization

/// Ends a process group when its time is over: first politely, then for certain.
final class CommandDeadline: Sendable {
    /// What a command gets between the polite signal and the other one.
    static let grace: Duration = .seconds(2)

    private let passed = Mutex(false)
    private let child: ChildProcess

    private init(_ child: ChildProcess) { self.child = child }

    /// - Returns: also the clock that runs, to be cancelled at the command's end; nil without a limit, and then it costs
    ///   nothing.
    static func start(_ limit: Duration?, of child: ChildProcess) -> (
        deadline: CommandDeadline, clock: Task<Void, Never>
    )? {
        guard let limit else { return nil }
        let deadline = CommandDeadline(child)
        return (deadline, Task { await deadline.run(limit) })
    }

    var hasPassed: Bool { passed.withLock { $0 } }

    private func run(_ limit: Duration) async {
        do { try await Task.sleep(for: limit) } catch { return }
        // Who is done by now was in time.
        guard child.currentExitStatus == nil else { return }
        passed.withLock { $0 = true }
        Self.end(child)
    }

    /// The command of a caller that is gone, or whose time is over.
    static func end(_ child: ChildProcess) { child.end(SIGTERM, grace: grace) }
}
