import ComputeRuntime
import Synchronization

/// Lets so many starts run at once; the others wait in line, until their deadline.
final class StartGate: Sendable {
    /// Longer than any group may have computes by default: who comes then hears at once that it is too much.
    private static let maximumLine = 128

    private struct State {
        var free: Int
        var nextTicket = 0
        /// Who waits, the longest first.
        var line: [(ticket: Int, wake: AsyncStream<Void>.Continuation)] = []
        /// Woken with a place, not back yet.
        var admitted: Set<Int> = []
    }
    private let state: Mutex<State>

    init(width: Int) { state = Mutex(State(free: max(1, width))) }

    /// Runs `start` when its turn comes.
    func pass<Value: Sendable>(
        deadline: ContinuousClock.Instant, _ start: () async throws(RuntimeError) -> Value
    ) async throws(RuntimeError) -> Value {
        try await enter(deadline: deadline)
        defer { leave() }
        return try await start()
    }

    private func enter(deadline: ContinuousClock.Instant) async throws(RuntimeError) {
        let (wakes, wake) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let ticket = try state.withLock { state throws(RuntimeError) -> Int? in
            if state.free > 0 {
                state.free -= 1
                return nil
            }
            guard state.line.count < Self.maximumLine else {
                throw RuntimeError(.outOfCapacity, "too many sandboxes are starting")
            }
            state.nextTicket += 1
            state.line.append((state.nextTicket, wake))
            return state.nextTicket
        }
        guard let ticket else { return }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in wakes { return } }
            group.addTask { try? await Task.sleep(until: deadline, clock: .continuous) }
            await group.next()
            group.cancelAll()
        }
        // A place that came in the last moment counts: nobody else was given it.
        let isAdmitted = state.withLock { state in
            state.line.removeAll { $0.ticket == ticket }
            return state.admitted.remove(ticket) != nil
        }
        guard isAdmitted else { throw RuntimeError(.deadlineExceeded, "no start was possible in time") }
    }

    private func leave() {
        let wake = state.withLock { state -> AsyncStream<Void>.Continuation? in
            guard !state.line.isEmpty else {
                state.free += 1
                return nil
            }
            let next = state.line.removeFirst()
            state.admitted.insert(next.ticket)
            return next.wake
        }
        wake?.yield()
    }
}
