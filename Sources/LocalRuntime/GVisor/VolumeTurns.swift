import ComputeCore
import Synchronization

/// One after the other for each volume: who mounts must not meet who unmounts. What was begun ends, also when its caller
/// is cancelled, so that no half of it stays.
final class VolumeTurns: Sendable {
    private struct State {
        var lastTicket = 0
        /// The end of each line.
        var ends: [FilesystemID: (ticket: Int, task: Task<Void, Never>)] = [:]
    }
    private let state = Mutex(State())

    func run<Value: Sendable, Failure: Error>(
        _ id: FilesystemID, _ work: @escaping @Sendable () async throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let task = state.withLock { state -> Task<Result<Value, Failure>, Never> in
            let before = state.ends[id]?.task
            let task = Task { () async -> Result<Value, Failure> in
                _ = await before?.value
                do throws(Failure) { return .success(try await work()) } catch { return .failure(error) }
            }
            state.lastTicket += 1
            let ticket = state.lastTicket
            let end = Task {
                _ = await task.value
                self.state.withLock { if $0.ends[id]?.ticket == ticket { $0.ends[id] = nil } }
            }
            state.ends[id] = (ticket, end)
            return task
        }
        return try await task.value.get()
    }
}
