import ComputeCore
import Synchronization

/// One request, or what became of it (a stream, a tunnel), that goes on because a session token is good.
final class SessionUse: Sendable {
    private let over = Mutex(false)
    private let ending: AsyncStream<Never>
    private let end: AsyncStream<Never>.Continuation
    /// When the token's own time is over.
    private let deadline: ContinuousClock.Instant

    init(lastsFor duration: Duration) {
        (ending, end) = AsyncStream.makeStream()
        deadline = .now.advanced(by: duration)
    }

    /// True once the token was taken back or has expired.
    var isOver: Bool { over.withLock { $0 } }

    func finish() {
        over.withLock { $0 = true }
        end.finish()
    }

    /// Returns when it is over, or the task is cancelled.
    func waitUntilOver() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in self.ending {} }
            group.addTask {
                guard (try? await Task.sleep(until: self.deadline, clock: .continuous)) != nil else { return }
                self.finish()
            }
            await group.next()
            group.cancelAll()
        }
    }
}
