import ComputeCore
import ComputeDomain
import EventSourcing
import Synchronization

/// The creates in flight, and the starts of what was stopped.
///
/// Each runs in a task of the service, not of the request: a client that hangs up cancels its request at whatever
/// point it has reached, and a create that stops between claim and commit leaves a place without a record. Here it
/// runs to its end (a compute, or nothing), whoever still listens; the lifetime ends what nobody came back for.
/// Others who want the same compute wait for the same task.
///
/// Bounded by the deadlines of each create's steps; how many there are is the listener's bound on connections.
final class OwnedTasks: Sendable {
    typealias Outcome = Result<CreateOutcome, Problem>

    private struct State {
        var creates: [ComputeID: Task<Outcome, Never>] = [:]
        /// What each of them has begun to take back.
        var takingBack: [ComputeID: [Task<Void, Never>]] = [:]
        var isClosed = false
    }
    private let state = Mutex(State())
    /// How long a failed create waits for what it takes back: a part of what is left of the clients' 30 s. What takes
    /// longer goes on by itself.
    private static let patience: Duration = .seconds(3)

    /// Runs `work` to its end, also when the caller is cancelled meanwhile.
    func create(_ id: ComputeID, _ work: @escaping @Sendable () async -> Outcome) async -> Outcome {
        // The task is registered in the same step as it starts: nobody can see a commit of a create that cannot be
        // waited for.
        let task: Task<Outcome, Never>? = state.withLock { state in
            guard !state.isClosed else { return nil }
            let task = Task { await self.toItsEnd(id, work) }
            state.creates[id] = task
            return task
        }
        guard let task else { return .failure(.unavailable("the server is shutting down")) }
        return await task.value
    }

    /// The same, but of all who ask for the same compute meanwhile one does the work.
    func once(
        _ id: ComputeID, until deadline: ContinuousClock.Instant, _ work: @escaping @Sendable () async -> Outcome
    ) async -> Outcome {
        while ContinuousClock.now < deadline {
            if let outcome = await outcome(of: id, until: deadline) { return outcome }
            let task: Task<Outcome, Never>?? = state.withLock { state in
                guard state.creates[id] == nil else { return nil }
                guard !state.isClosed else { return .some(nil) }
                let task = Task { await self.toItsEnd(id, work) }
                state.creates[id] = task
                return task
            }
            guard let task else { continue }
            return await task?.value ?? .failure(.unavailable("the server is shutting down"))
        }
        return .failure(.unavailable("the sandbox could not be started in time", retryAfterSeconds: 2))
    }

    private func toItsEnd(_ id: ComputeID, _ work: @Sendable () async -> Outcome) async -> Outcome {
        let outcome = await work()
        let takingBack = state.withLock { $0.takingBack.removeValue(forKey: id) ?? [] }
        if case .failure = outcome { await Self.wait(for: takingBack) }
        state.withLock { $0.creates[id] = nil }
        return outcome
    }

    /// The outcome of what is in flight for that compute, if this process is at it and it ends in time.
    func outcome(of id: ComputeID, until deadline: ContinuousClock.Instant) async -> Outcome? {
        guard let task = state.withLock({ $0.creates[id] }) else { return nil }
        return await withDeadline(deadline) { await task.value }
    }

    /// Begins what a create that is under way has to undo, without waiting for it.
    func takeBack(of id: ComputeID, _ work: @escaping @Sendable () async -> Void) {
        state.withLock { $0.takingBack[id, default: []].append(Task { await work() }) }
    }

    /// Past a cancellation too.
    private static func wait(for tasks: [Task<Void, Never>]) async {
        guard !tasks.isEmpty else { return }
        _ = await Task {
            await withDeadline(.now + patience) { for task in tasks { await task.value } }
        }.value
    }

    var inFlight: Set<ComputeID> { state.withLock { Set($0.creates.keys) } }

    /// Takes no more, and returns when all have ended. Past the deadline they are cancelled first, which makes each
    /// step fail at once, so that it undoes what it began.
    func close(deadline: Duration) async {
        let running = state.withLock { state in
            state.isClosed = true
            return Array(state.creates.values)
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                guard (try? await Task.sleep(for: deadline)) != nil else { return }
                for task in running { task.cancel() }
            }
            for task in running { _ = await task.value }
            group.cancelAll()
        }
    }
}

/// How a create ended when it did not fail.
enum CreateOutcome: Sendable {
    case running(ComputeSummary)
    /// Another one has the name or the key.
    case taken(UniqueHold)
}
