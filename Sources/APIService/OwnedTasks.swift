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
        var isClosed = false
    }
    private let state = Mutex(State())

    /// Runs `work` to its end, also when the caller is cancelled meanwhile.
    func create(_ id: ComputeID, _ work: @escaping @Sendable () async -> Outcome) async -> Outcome {
        // The task is registered in the same step as it starts: nobody can see a commit of a create that cannot be
        // waited for.
        let task: Task<Outcome, Never>? = state.withLock { state in
            guard !state.isClosed else { return nil }
            let task = Task {
                let outcome = await work()
                self.state.withLock { $0.creates[id] = nil }
                return outcome
            }
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
                let task = Task {
                    let outcome = await work()
                    self.state.withLock { $0.creates[id] = nil }
                    return outcome
                }
                state.creates[id] = task
                return task
            }
            guard let task else { continue }
            return await task?.value ?? .failure(.unavailable("the server is shutting down"))
        }
        return .failure(.unavailable("the sandbox could not be started in time", retryAfterSeconds: 2))
    }

    /// The outcome of what is in flight for that compute, if this process is at it and it ends in time.
    func outcome(of id: ComputeID, until deadline: ContinuousClock.Instant) async -> Outcome? {
        guard let task = state.withLock({ $0.creates[id] }) else { return nil }
        // Whoever waits for the value of a task cannot leave before it is there; who reads a stream can.
        let (outcomes, end) = AsyncStream.makeStream(of: Outcome.self)
        Task {
            end.yield(await task.value)
            end.finish()
        }
        let alarm = Task {
            try? await Task.sleep(until: deadline)
            end.finish()
        }
        defer { alarm.cancel() }
        return await outcomes.first { _ in true }
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
