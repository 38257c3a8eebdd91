/// What became of work for a connection, and whether a cancel may still be sent for it.
///
/// ```
///   waiting ◀──▶ running ──▶ ended       back to waiting when its connection broke without effect
///      └── cancelled ──────────┘
/// ```
/// A cancel goes to a connection and not to a statement. So it is ordered only between `started` and `ended`, and a
/// connection that one was ordered for is not used for anything else.
package struct JobMachine: Sendable {
    private enum State {
        case waiting
        case running(wasCancelled: Bool)
        case ended
    }
    private var state = State.waiting

    package init() {}

    /// Whether somebody still waits for its beginning.
    package var isWaiting: Bool {
        switch state {
        case .waiting: true
        case .running, .ended: false
        }
    }

    /// - Returns: false when there is nothing to do any more.
    package mutating func started(isLate: Bool) -> Bool {
        switch state {
        case .waiting where !isLate:
            state = .running(wasCancelled: false)
            return true
        case .waiting, .running, .ended:
            state = .ended
            return false
        }
    }

    /// - Parameter again: whether it is to be started once more.
    /// - Returns: whether a cancel was ordered, which may arrive at any time from now on.
    package mutating func ended(again: Bool) -> Bool {
        switch state {
        case .running(let wasCancelled):
            state = again && !wasCancelled ? .waiting : .ended
            return wasCancelled
        case .waiting, .ended: return false
        }
    }

    /// - Returns: whether the server has to be asked to stop.
    package mutating func cancelled() -> Bool {
        switch state {
        case .waiting:
            state = .ended
            return false
        case .running(wasCancelled: false):
            state = .running(wasCancelled: true)
            return true
        case .running(wasCancelled: true), .ended: return false
        }
    }
}
