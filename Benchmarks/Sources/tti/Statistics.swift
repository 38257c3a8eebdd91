/// What is said of a series of times, by the rules that the public sandbox comparisons use: successes only, sorted,
/// the lowest and highest 5 % (rounded down) left out, nearest-rank percentiles of the rest.
struct Statistics: Encodable, Equatable {
    var count: Int
    var succeeded: Int
    /// Milliseconds.
    var median: Double
    var p95: Double
    var p99: Double
    /// From the first start to the last end, milliseconds.
    var wall: Double
    /// 100 is instant, 0 is ten seconds: 0.60 median, 0.25 p95, 0.15 p99, times the share that succeeded.
    var score: Double

    /// - Parameter times: milliseconds of those that succeeded.
    init(_ times: [Double], attempted: Int, wall: Double) {
        let sorted = times.sorted()
        let dropped = sorted.count / 20
        let kept = Array(sorted[dropped..<(sorted.count - dropped)])
        func rank(_ share: Double) -> Double {
            guard !kept.isEmpty else { return .infinity }
            return kept[max(0, Int((share * Double(kept.count)).rounded(.up)) - 1)]
        }
        count = attempted
        succeeded = times.count
        median =
            kept.isEmpty
            ? .infinity
            : kept.count.isMultiple(of: 2)
                ? (kept[kept.count / 2 - 1] + kept[kept.count / 2]) / 2 : kept[kept.count / 2]
        p95 = rank(0.95)
        p99 = rank(0.99)
        self.wall = wall
        func points(_ value: Double) -> Double { max(0, 100 * (1 - value / 10_000)) }
        let rate = attempted == 0 ? 0 : Double(times.count) / Double(attempted)
        score = (0.60 * points(median) + 0.25 * points(p95) + 0.15 * points(p99)) * rate
    }

    /// Wrong arithmetic would make every figure wrong: checked before each run.
    static func selfTest() {
        let hundred = Statistics((1...100).map(Double.init), attempted: 100, wall: 1)
        // 6…95 are kept: 90 values.
        precondition(hundred.median == 50.5 && hundred.p95 == 91 && hundred.p99 == 95, "percentiles")
        let failing = Statistics([300, 300], attempted: 4, wall: 1)
        precondition(abs(failing.score - 48.5) < 0.001, "the score counts failures")
        precondition(Statistics([], attempted: 3, wall: 1).score == 0, "nothing succeeded")
    }
}
