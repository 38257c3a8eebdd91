import Synchronization

/// A value that arrives once and is awaited by any number of tasks. Later values are ignored.
///
/// Waiting does not end at cancellation: whoever waits for an ending has seen to it that it comes.
package final class OneShot<Value: Sendable>: Sendable {
    private enum State {
        case open([CheckedContinuation<Value, Never>])
        case set(Value)
    }
    private let state = Mutex(State.open([]))

    package init() {}

    package func set(_ value: Value) {
        let waiting = state.withLock { state -> [CheckedContinuation<Value, Never>] in
            guard case .open(let waiting) = state else { return [] }
            state = .set(value)
            return waiting
        }
        for continuation in waiting { continuation.resume(returning: value) }
    }

    package var current: Value? {
        state.withLock { state in
            switch state {
            case .open: nil
            case .set(let value): value
            }
        }
    }

    package func wait() async -> Value {
        await withCheckedContinuation { continuation in
            let value = state.withLock { state -> Value? in
                switch state {
                case .set(let value): return value
                case .open(let waiting):
                    state = .open(waiting + [continuation])
                    return nil
                }
            }
            if let value { continuation.resume(returning: value) }
        }
    }
}
