import ComputeCore
import EventSourcing
import Testing

struct PaceTests {
    private let start = WallTime(milliseconds: 1_800_000_000_000)

    /// Never more than twice the limit in any period, and never more than the limit from a standstill.
    @Test(arguments: 0..<20) func noPeriodSeesMoreThanItMay(seed: UInt64) {
        var generator = SplitMix(state: seed)
        let limit = Int64.random(in: 1...20, using: &generator)
        let pace = Pace(limit: limit, period: .seconds(60))
        var (value, now, granted): (Int64, WallTime, [WallTime]) = (0, start, [])
        for _ in 0..<2000 {
            now = now + .milliseconds(Int64.random(in: 0...3000, using: &generator))
            guard let next = pace.value(after: value, adding: 1, at: now) else { continue }
            value = next
            granted.append(now)
        }
        for (index, time) in granted.enumerated() {
            let within = granted[index...].prefix { $0 < time + .seconds(60) }.count
            #expect(Int64(within) <= 2 * limit, "limit \(limit), seed \(seed)")
        }
        let whole = (now - start).components.seconds
        #expect(Int64(granted.count) <= limit + whole * limit / 60 + 1, "limit \(limit): never more than its pace")
    }

    @Test func whatIsSpentIsShownAndComesBack() {
        let pace = Pace(limit: 6, period: .seconds(60))
        var value: Int64 = 0
        for _ in 0..<4 { value = pace.value(after: value, adding: 1, at: start)! }
        #expect(pace.used(value, at: start) == 4)
        #expect(pace.used(value, at: start + .seconds(10)) == 3)
        #expect(pace.used(value, at: start + .seconds(40)) == 0)
        #expect(pace.secondsForOne == 10)
        #expect(Pace(limit: 3000, period: .seconds(60)).secondsForOne == 1)
    }

    @Test(arguments: [Int64.min, -1, 0, 1, Int64.max]) func noLimitTraps(limit: Int64) {
        let pace = Pace(limit: limit, period: .seconds(60))
        #expect((pace.value(after: 0, adding: 1, at: start) != nil) == (limit > 0))
        #expect(pace.value(after: 0, adding: .max, at: start) == nil || limit == .max)
        #expect(pace.used(0, at: start) == 0)
    }

    /// An instance whose clock ran a day ahead must not keep a group from creating for a day.
    @Test func aValueOfAClockThatWasWrongCountsForNothing() {
        let pace = Pace(limit: 1, period: .seconds(60))
        let ahead = pace.value(after: 0, adding: 1, at: start + .seconds(86_400))!
        #expect(pace.value(after: ahead, adding: 1, at: start) != nil)
        // One that is a little ahead is believed.
        let slightly = pace.value(after: 0, adding: 1, at: start + .milliseconds(500))!
        #expect(pace.value(after: slightly, adding: 1, at: start) == nil)
    }
}

private struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
