import Synchronization

/// Work for a connection, from the queue to its end.
final class PostgresJob: Sendable {
    private let state = Mutex((machine: JobMachine(), cancellation: PostgresCancellation?.none))
    let deadline: ContinuousClock.Instant
    /// Answers whoever waits; only the first answer counts.
    let fail: @Sendable (PostgresError) -> Void
    /// - Returns: nil when it was answered; the error when the connection broke without effect.
    let perform: @Sendable (PostgresConnection) -> PostgresError?

    init(
        deadline: ContinuousClock.Instant, fail: @escaping @Sendable (PostgresError) -> Void,
        perform: @escaping @Sendable (PostgresConnection) -> PostgresError?
    ) {
        self.deadline = deadline
        self.fail = fail
        self.perform = perform
    }

    /// Whether it is worth a connection: nobody took it back, and there is time left.
    var isWanted: Bool { deadline > .now && state.withLock { $0.machine.isWaiting } }

    /// - Returns: false when there is nothing to do any more.
    func start(_ cancellation: PostgresCancellation?) -> Bool {
        let isLate = deadline < .now
        let begun = state.withLock { state in
            state.cancellation = cancellation
            return state.machine.started(isLate: isLate)
        }
        if !begun { giveUp() }
        return begun
    }

    /// Answers for what is not wanted any more; who took it back has an answer already.
    func giveUp() { fail(PostgresError(.deadlineExceeded, "no connection was free in time")) }

    /// - Parameter again: whether it will be started once more.
    /// - Returns: whether a cancel was sent for it.
    func end(again: Bool) -> Bool {
        state.withLock { state in
            state.cancellation = nil
            return state.machine.ended(again: again)
        }
    }

    /// - Returns: what to send to the server, when it is at work.
    func cancel() -> PostgresCancellation? {
        let order = state.withLock { $0.machine.cancelled() ? $0.cancellation : nil }
        // Nobody has to wait for the server to agree.
        fail(PostgresError(.cancelled, "the caller does not want it any more"))
        return order
    }
}

/// Who waits for a job, and that it is answered once.
final class PostgresAnswer<T: Sendable>: Sendable {
    private enum State {
        case expected(CheckedContinuation<Result<T, any Error>, Never>?)
        case early(Result<T, any Error>)
        case given
    }
    private let state = Mutex(State.expected(nil))

    func expect(_ continuation: CheckedContinuation<Result<T, any Error>, Never>) {
        let early: Result<T, any Error>? = state.withLock { state in
            switch state {
            case .early(let result):
                state = .given
                return result
            case .expected, .given:
                state = .expected(continuation)
                return nil
            }
        }
        if let early { continuation.resume(returning: early) }
    }

    func give(_ result: Result<T, any Error>) {
        let continuation: CheckedContinuation<Result<T, any Error>, Never>? = state.withLock { state in
            switch state {
            case .expected(let continuation?):
                state = .given
                return continuation
            case .expected(nil):
                // Cancelled before it began.
                state = .early(result)
                return nil
            case .early, .given: return nil
            }
        }
        continuation?.resume(returning: result)
    }
}
