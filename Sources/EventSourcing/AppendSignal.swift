import Synchronization

/// Wakes readers of a log when it grows: what `waitForEvents` of every store in one process stands on.
///
/// It only says "look again". Whoever missed a signal reads one timeout later, so losing one loses nothing.
/// - Parameter Place: what a store counts its log by.
package final class AppendSignal<Place: Comparable & Sendable>: Sendable {
    private struct State {
        var latest: Place
        var nextWaiter = 0
        var waiters: [Int: (after: Place, wake: CheckedContinuation<Void, Never>)] = [:]
    }
    private let state: Mutex<State>

    /// - Parameter latest: the last place of the log now.
    package init(latest: Place) { state = Mutex(State(latest: latest)) }

    /// To be called after the commit is durable, never under a lock of the store.
    package func advance(to place: Place) {
        let woken = state.withLock { state in
            state.latest = max(state.latest, place)
            let due = state.waiters.filter { $0.value.after < state.latest }
            for id in due.keys { state.waiters[id] = nil }
            return due.values.map(\.wake)
        }
        for waiter in woken { waiter.resume() }
    }

    /// Returns when the log has grown past `place`, `timeout` is over, or the task is cancelled.
    package func wait(past place: Place, timeout: Duration) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.suspend(past: place) }
            group.addTask { try? await Task.sleep(for: timeout) }
            await group.next()
            group.cancelAll()
        }
    }

    private func suspend(past place: Place) async {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                // A cancellation marks the task before its handler runs, and the handler needs the same lock: either
                // it is seen here, or the handler finds the waiter.
                let now = state.withLock { state in
                    if Task.isCancelled || state.latest > place { return true }
                    state.waiters[id] = (place, continuation)
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
