/// What `work` comes to, if it does in time; then it is cancelled, and left to its fate.
///
/// Whoever waits for a task's value, or in a task group, cannot leave before that is there; who reads a stream can.
func withDeadline<Value: Sendable>(
    _ deadline: ContinuousClock.Instant, _ work: @escaping @Sendable () async -> Value
) async -> Value? {
    let (values, end) = AsyncStream.makeStream(of: Value.self)
    let task = Task {
        end.yield(await work())
        end.finish()
    }
    let alarm = Task {
        try? await Task.sleep(until: deadline)
        end.finish()
    }
    defer {
        task.cancel()
        alarm.cancel()
    }
    return await values.first { _ in true }
}
