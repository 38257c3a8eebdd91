import ComputeCore
import Synchronization

/// The shell around `FairTurns`: lets work of groups in, and makes it wait.
final class GroupTurns: Sendable {
    private enum Waiter {
        /// It has a ticket, and is about to wait.
        case coming
        case waiting(CheckedContinuation<Bool, Never>)
        /// Its turn came before it waited; or its time was over.
        case told(Bool)
    }

    private struct State {
        var turns: FairTurns<GroupID>
        var lastTicket = 0
        var waiters: [Int: Waiter] = [:]
    }
    private let state: Mutex<State>

    init(_ limits: FairTurns<GroupID>.Limits) { state = Mutex(State(turns: FairTurns(limits))) }

    /// Does `work` when it is the group's turn.
    /// - Parameter deadline: until when it may wait for that.
    /// - Throws: 503 when it did not come to its turn in time, too many wait, or the task is cancelled; what `work` throws.
    func run<T: Sendable>(
        of group: GroupID, until deadline: ContinuousClock.Instant, _ work: () async throws(Problem) -> T
    ) async throws(Problem) -> T {
        guard ContinuousClock.now < deadline, await enter(group, until: deadline) else { throw .tooManyCreates }
        defer { leave(group) }
        return try await work()
    }

    private func enter(_ group: GroupID, until deadline: ContinuousClock.Instant) async -> Bool {
        let (ticket, entry) = state.withLock { state in
            state.lastTicket += 1
            let entry = state.turns.enter(state.lastTicket, of: group)
            if entry == .wait { state.waiters[state.lastTicket] = .coming }
            return (state.lastTicket, entry)
        }
        switch entry {
        case .go: return true
        case .refused: return false
        case .wait:
            return await ServerTiming.measure(.turn) { await self.wait(ticket, of: group, until: deadline) }
        }
    }

    private func wait(_ ticket: Int, of group: GroupID, until deadline: ContinuousClock.Instant) async -> Bool {
        await withTaskGroup(of: Bool?.self) { tasks in
            tasks.addTask { await self.suspend(ticket, of: group) }
            tasks.addTask {
                if (try? await Task.sleep(until: deadline)) != nil { self.withdraw(ticket, of: group) }
                return nil
            }
            for await told in tasks {
                guard let told else { continue }
                tasks.cancelAll()
                return told
            }
            return false
        }
    }

    private func suspend(_ ticket: Int, of group: GroupID) async -> Bool {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let told: Bool? = state.withLock { state in
                    if case .told(let isGranted)? = state.waiters[ticket] {
                        state.waiters[ticket] = nil
                        return isGranted
                    }
                    state.waiters[ticket] = .waiting(continuation)
                    return nil
                }
                if let told { continuation.resume(returning: told) }
            }
        } onCancel: {
            withdraw(ticket, of: group)
        }
    }

    private func withdraw(_ ticket: Int, of group: GroupID) {
        let continuation = state.withLock { state in
            state.turns.withdraw(ticket, of: group) ? Self.tell(false, to: ticket, in: &state) : nil
        }
        continuation?.resume(returning: false)
    }

    private func leave(_ group: GroupID) {
        let continuations = state.withLock { state in
            state.turns.leave(group).compactMap { Self.tell(true, to: $0, in: &state) }
        }
        for continuation in continuations { continuation.resume(returning: true) }
    }

    /// - Returns: whom to wake, outside of the lock.
    private static func tell(
        _ isGranted: Bool, to ticket: Int, in state: inout State
    ) -> CheckedContinuation<Bool, Never>? {
        switch state.waiters[ticket] {
        case .waiting(let continuation)?:
            state.waiters[ticket] = nil
            return continuation
        case .coming?:
            state.waiters[ticket] = .told(isGranted)
            return nil
        case .told?, nil: return nil
        }
    }
}

extension Problem {
    static let tooManyCreates = Problem.unavailable(
        "too many sandboxes are being created at the moment", retryAfterSeconds: 2)
}
