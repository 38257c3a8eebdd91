import Synchronization

/// Wakes readers of a log when it grows: what `waitForEvents` of every store in one process stands on.
///
/// It only says "look again". Whoever missed a signal reads one timeout later, so losing one loses nothing.
package final class AppendSignal: Sendable {
    private struct State {
        var latest: Int64
        var nextWaiter = 0
        var waiters: [Int: (after: Int64, wake: CheckedContinuation<Void, Never>)] = [:]
    }
    private let state: Mutex<State>

    /// - Parameter latest: the last position of the log now.
    package init(latest: Int64) { state = Mutex(State(latest: latest)) }

    /// To be called after the commit is durable, never under a lock of the store.
    package func advance(to position: Int64) {
        let woken = state.withLock { state in
            state.latest = max(state.latest, position)
            let due = state.waiters.filter { $0.value.after < state.latest }
            for id in due.keys { state.waiters[id] = nil }
            return due.values.map(\.wake)
        }
        for waiter in woken { waiter.resume() }
    }

    /// Returns when the log has grown past `position`, `timeout` is over, or the task is cancelled.
    package func wait(past position: Int64, timeout: Duration) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.suspend(past: position) }
            group.addTask { try? await Task.sleep(for: timeout) }
            await group.next()
            group.cancelAll()
        }
    }

    private func suspend(past position: Int64) async {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                // A cancellation marks the task before its handler runs, and the handler needs the same lock: either
                // it is seen here, or the handler finds the waiter.
                let now = state.withLock { state in
                    if Task.isCancelled || state.latest > position { return true }
                    state.waiters[id] = (position, continuation)
                    return false
                }
                if now { continuation.resume() }
            }
        } onCancel: {
            let waiter = state.withLock { $0.waiters.removeValue(forKey: id) }
            waiter?.wake.resume()
        }
    }
}
