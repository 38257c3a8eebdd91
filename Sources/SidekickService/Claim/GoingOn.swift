import Synchronization

/// Takes up, once, what an earlier Sidekick on the same disk looked after.
final class GoingOn: Sendable {
    private let isStarted = Mutex(false)
    private let resume: @Sendable (ComputeContext) async -> Void

    init(resume: @escaping @Sendable (ComputeContext) async -> Void) { self.resume = resume }

    /// A claim that is repeated starts nothing twice.
    func start(in compute: ComputeContext) async {
        let isFirst = isStarted.withLock { isStarted in
            defer { isStarted = true }
            return !isStarted
        }
        if isFirst { await resume(compute) }
    }
}
