package import ComputeCore
import Synchronization

/// Creates go in turns of their groups.
package typealias GroupTurns = Turnstile<GroupID>

/// The shell around `FairTurns`: lets work of owners in, and makes it wait.
package final class Turnstile<Owner: Hashable & Sendable>: Sendable {
    private enum Waiter {
        /// It has a ticket, and is about to wait.
        case coming
        case waiting(CheckedContinuation<Bool, Never>)
        /// Its turn came before it waited; or its time was over.
        case told(Bool)
    }

    private struct State {
        var turns: FairTurns<Owner>
        var lastTicket = 0
        var waiters: [Int: Waiter] = [:]
    }
    private let state: Mutex<State>
    private let refusal: Problem

    /// - Parameter refusal: what is thrown at whoever does not come to his turn.
    init(_ limits: FairTurns<Owner>.Limits, refusal: Problem = .tooManyCreates) {
        state = Mutex(State(turns: FairTurns(limits)))
        self.refusal = refusal
    }

    /// How many wait now.
    package var waiting: Int { state.withLock { $0.turns.waitingCount } }

    /// Does `work` when it is the owner's turn.
    /// - Parameter deadline: until when it may wait for that.
    /// - Throws: 503 when it did not come to its turn in time, too many wait, or the task is cancelled; what `work` throws.
    func run<T: Sendable>(
        of owner: Owner, until deadline: ContinuousClock.Instant, _ work: () async throws(Problem) -> T
    ) async throws(Problem) -> T {
        guard ContinuousClock.now < deadline, await enter(owner, until: deadline) else { throw refusal }
        defer { leave(owner) }
        return try await work()
    }

    private func enter(_ owner: Owner, until deadline: ContinuousClock.Instant) async -> Bool {
        let (ticket, entry) = state.withLock { state in
            state.lastTicket += 1
            let entry = state.turns.enter(state.lastTicket, of: owner)
            if entry == .wait { state.waiters[state.lastTicket] = .coming }
            return (state.lastTicket, entry)
        }
        switch entry {
        case .go: return true
        case .refused: return false
        case .wait:
            return await ServerTiming.measure(.turn) { await self.wait(ticket, of: owner, until: deadline) }
        }
    }

    private func wait(_ ticket: Int, of owner: Owner, until deadline: ContinuousClock.Instant) async -> Bool {
        await withTaskGroup(of: Bool?.self) { tasks in
            tasks.addTask { await self.suspend(ticket, of: owner) }
            tasks.addTask {
                if (try? await Task.sleep(until: deadline)) != nil { self.withdraw(ticket, of: owner) }
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

    private func suspend(_ ticket: Int, of owner: Owner) async -> Bool {
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
            withdraw(ticket, of: owner)
        }
    }

    private func withdraw(_ ticket: Int, of owner: Owner) {
        let continuation = state.withLock { state in
            state.turns.withdraw(ticket, of: owner) ? Self.tell(false, to: ticket, in: &state) : nil
        }
        continuation?.resume(returning: false)
    }

    private func leave(_ owner: Owner) {
        let continuations = state.withLock { state in
            state.turns.leave(owner).compactMap { Self.tell(true, to: $0, in: &state) }
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
    static let tooManyChanges = Problem.unavailable("too many changes at once", retryAfterSeconds: 2)
}
