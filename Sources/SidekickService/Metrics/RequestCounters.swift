import Synchronization

/// How many requests were answered, by class of status.
final class RequestCounters: Sendable {
    /// 1xx to 5xx.
    private let counts = Mutex([Int](repeating: 0, count: 5))

    func count(_ status: Int) {
        counts.withLock { $0[min(max(status / 100, 1), 5) - 1] += 1 }
    }

    /// `2xx` and its like, in order.
    var classes: [(name: String, count: Int)] {
        counts.withLock { counts in counts.enumerated().map { ("\($0.offset + 1)xx", $0.element) } }
    }
}
