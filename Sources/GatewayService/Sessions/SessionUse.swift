import ComputeCore
import Synchronization

/// One request, or what became of it (a stream, a tunnel), that goes on because a token is good.
final class SessionUse: Sendable {
    private let over = Mutex(false)
    private let ending: AsyncStream<Never>
    private let end: AsyncStream<Never>.Continuation
    /// When the token's own time is over.
    private let expiresAt: WallTime

    init(expiresAt: WallTime) {
        (ending, end) = AsyncStream.makeStream()
        self.expiresAt = expiresAt
    }

    /// True once the token was taken back or has expired.
    var isOver: Bool { over.withLock { $0 } }

    func finish() {
        over.withLock { $0 = true }
        end.finish()
    }

    func hasExpired(by now: WallTime) -> Bool { now >= expiresAt }

    /// Returns when it is over, or the task is cancelled.
    func waitUntilOver() async { for await _ in ending {} }
}
