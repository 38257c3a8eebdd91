/// How long to let a writer wait for readers that are behind. A value; whoever reads the writer's output keeps it.
///
///     readers keep up ──▶ no wait, whatever the speed
///     a reader is behind ──▶ short waits, as long as the writer still gets `slowest` on average
///
/// So a reader that can take `slowest` misses nothing of any output, and one that is slower or dead slows a writer down
/// to that and no further: it misses the oldest instead.
package struct OutputPacing: Sendable {
    /// Bytes per second. Far more than a person can read or a link of a gigabit half can carry, and so fast that no
    /// program notices: terminals carry some hundred megabytes a second at best.
    package static let slowest = 50_000_000
    /// One wait: timers are not worth less, and what waits longer is not busy any more.
    private static let waits: ClosedRange<Duration> = .milliseconds(1) ... .milliseconds(10)
    /// What may be saved up while readers keep up.
    private static let mostCredit: Duration = .milliseconds(50)

    package init() {}

    private var credit: Duration = .zero

    /// - Parameters:
    ///   - written: bytes since the last call.
    ///   - isBehind: some reader has more than half of what is kept still before it.
    package mutating func wait(written: Int, isBehind: Bool) -> Duration {
        credit = min(credit + .nanoseconds(written * (1_000_000_000 / Self.slowest)), Self.mostCredit)
        guard isBehind, credit >= Self.waits.lowerBound else { return .zero }
        let wait = min(credit, Self.waits.upperBound)
        credit -= wait
        return wait
    }
}
