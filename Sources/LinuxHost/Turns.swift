import Synchronization

/// One after the other for each key: who mounts a disk must not meet who unmounts it. What was begun ends, also when its
/// caller is cancelled, so that no half of it stays.
package final class Turns<Key: Hashable & Sendable>: Sendable {
    private struct State {
        var lastTicket = 0
        /// The end of each line.
        var ends: [Key: (ticket: Int, task: Task<Void, Never>)] = [:]
    }
    private let state = Mutex(State())

    package init() {}

    package func run<Value: Sendable, Failure: Error>(
        _ key: Key, _ work: @escaping @Sendable () async throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let task = state.withLock { state -> Task<Result<Value, Failure>, Never> in
            let before = state.ends[key]?.task
            let task = Task { () async -> Result<Value, Failure> in
                _ = await before?.value
                do throws(Failure) { return .success(try await work()) } catch { return .failure(error) }
            }
            state.lastTicket += 1
            let ticket = state.lastTicket
            let end = Task {
                _ = await task.value
                self.state.withLock { if $0.ends[key]?.ticket == ticket { $0.ends[key] = nil } }
            }
            state.ends[key] = (ticket, end)
            return task
        }
        return try await task.value.get()
    }
}
