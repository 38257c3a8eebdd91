import Synchronization

/// One task waits for something that event-loop threads announce. An announcement before the wait is not lost.
final class Signal: Sendable {
    private struct State {
        var raised = false
        /// Nobody has to wait any more.
        var open = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    func raise() { wake { $0.raised = true } }

    func openForGood() { wake { $0.open = true } }

    /// Returns at the next announcement. One waiter at a time.
    func wait() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let now = state.withLock { state in
                if state.open || state.raised {
                    state.raised = false
                    return true
                }
                state.waiter = continuation
                return false
            }
            if now { continuation.resume() }
        }
    }

    private func wake(_ change: (inout State) -> Void) {
        let waiter = state.withLock { state in
            change(&state)
            defer { state.waiter = nil }
            if state.waiter != nil { state.raised = false }
            return state.waiter
        }
        waiter?.resume()
    }
}
