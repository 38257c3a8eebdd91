import Synchronization

/// Tells a thread that nobody waits for it any more.
final class Canceller: Sendable {
    private let flag = Atomic(false)
    var isCancelled: Bool { flag.load(ordering: .relaxed) }
    func cancel() { flag.store(true, ordering: .relaxed) }
}
