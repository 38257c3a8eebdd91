import Synchronization

/// Where the time of one request goes, told to the client in the `Server-Timing` header (W3C Server Timing,
/// milliseconds). A stage that happens several times counts once, with the sum.
final class ServerTiming: Sendable {
    /// The request's own; set by `EdgeMiddleware`, inherited by the task that carries out a create.
    @TaskLocal static var current: ServerTiming?

    enum Stage: String, CaseIterable {
        /// Others are let go first: too many are being created.
        case turn
        /// An idle member is taken from the pool, and thawed.
        case take
        /// A member is started, or waited for.
        case start
        /// The Sidekick takes the claim.
        case claim
        /// The events are on disk.
        case commit
    }

    private let durations = Mutex<[Stage: Duration]>([:])

    static func measure<Value, Failure: Error>(
        _ stage: Stage, _ work: () async throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let start = ContinuousClock.now
        defer {
            let duration = ContinuousClock.now - start
            current?.durations.withLock { $0[stage, default: .zero] += duration }
            APIMetrics.spent(duration, on: stage)
        }
        return try await work()
    }

    /// nil when nothing was measured.
    var header: String? {
        let durations = durations.withLock { $0 }
        guard !durations.isEmpty else { return nil }
        return Stage.allCases.compactMap { stage in
            durations[stage].map { "\(stage.rawValue);dur=\(Self.milliseconds($0))" }
        }.joined(separator: ", ")
    }

    /// With microseconds, no exponent.
    private static func milliseconds(_ duration: Duration) -> String {
        let microseconds = duration.components.seconds * 1_000_000 + duration.components.attoseconds / 1_000_000_000_000
        let fraction = String(microseconds % 1000)
        return "\(microseconds / 1000)." + String(repeating: "0", count: 3 - fraction.utf8.count) + fraction
    }
}
