import Dispatch

/// Threads for calls that block (`/proc`, deleting trees), so that they never hold one of the few threads that
/// run tasks.
enum BlockingThreads {
    private static let queue = DispatchQueue(label: "local-runtime", attributes: .concurrent)

    /// Runs to its end even when the caller's task is cancelled: a half-done removal helps nobody.
    static func run<Value: Sendable, Failure: Error>(
        _ work: @escaping @Sendable () throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let result: Result<Value, Failure> = await withCheckedContinuation { continuation in
            queue.async {
                continuation.resume(returning: Result { () throws(Failure) -> Value in try work() })
            }
        }
        return try result.get()
    }
}
