/// Waiting times between attempts: doubling, and each anywhere between half and all of it, so that many
/// Gateways do not come back in step.
struct Backoff: Sendable {
    private let first: Duration
    private let most: Duration
    private var current: Duration

    init(first: Duration, most: Duration) {
        self.first = first
        self.most = most
        current = first
    }

    mutating func next() -> Duration {
        let whole = current
        current = min(current * 2, most)
        return whole * Double.random(in: 0.5...1)
    }

    mutating func reset() { current = first }
}
