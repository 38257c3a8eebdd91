import APIService
import ComputeCore
import Testing

private let start = WallTime(milliseconds: 1_800_000_000_000)

/// How many wait, by how many were asked for.
struct PoolScaleTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        /// Milliseconds from the start.
        var asked: [Int]
        var at: Int
        var target: Int
        var testDescription: String { name }
    }

    /// From 1 to 10, with a lead of two seconds.
    static let table = [
        Row(name: "nothing", asked: [], at: 0, target: 1),
        Row(name: "one, and one more for the next", asked: [0], at: 0, target: 2),
        Row(name: "four at once and a quarter more", asked: [0, 0, 0, 0], at: 0, target: 5),
        Row(name: "five within the lead", asked: [0, 400, 800, 1200, 1600], at: 1600, target: 7),
        Row(name: "one after the other", asked: [0, 5000, 10000, 15000, 20000], at: 20000, target: 2),
        Row(name: "more than there may be", asked: Array(repeating: 0, count: 500), at: 0, target: 10),
        Row(name: "what was wanted is remembered", asked: [0, 0, 0, 0], at: 240_000, target: 5),
        Row(name: "and goes a quarter of the way", asked: Array(repeating: 0, count: 8), at: 300_000, target: 7),
        Row(name: "down to the least", asked: Array(repeating: 0, count: 8), at: 900_000, target: 1),
    ]

    @Test(arguments: table) func targetFollowsWhatWasAskedFor(row: Row) {
        var scale = PoolScale(minimum: 1, maximum: 10)
        for time in row.asked { scale.ask(at: start + .milliseconds(time)) }
        #expect(scale.target(at: start + .milliseconds(row.at)) == row.target)
    }

    @Test func slowStartsCountMoreOfWhatWasAskedFor() {
        var (quick, slow) = (PoolScale(minimum: 0, maximum: 100), PoolScale(minimum: 0, maximum: 100))
        slow.learn(startTime: .seconds(4))
        for n in 0..<12 {
            quick.ask(at: start + .seconds(n))
            slow.ask(at: start + .seconds(n))
        }
        let now = start + .seconds(12)
        #expect(quick.target(at: now) == 4 && slow.target(at: now) == 15)
        slow.learn(startTime: .seconds(3600))
        #expect(slow.target(at: now) == 15, "bounded, and what was is not counted anew")
    }

    @Test func boundsHoldAtOnceWhenTheyChange() {
        var scale = PoolScale(minimum: 2, maximum: 50)
        for _ in 0..<40 { scale.ask(at: start) }
        #expect(scale.target(at: start) == 50)
        scale.resize(minimum: 2, maximum: 8)
        #expect(scale.target(at: start) == 8)
        scale.resize(minimum: 3, maximum: 3)
        #expect(scale.target(at: start) == 3 && scale.target(at: start + .seconds(86_400)) == 3)
        scale.resize(minimum: 0, maximum: 0)
        scale.ask(at: start)
        #expect(scale.target(at: start) == 0)
    }

    @Test func aClockThatGoesBackChangesNothing() {
        var scale = PoolScale(minimum: 0, maximum: 10)
        for _ in 0..<4 { scale.ask(at: start) }
        #expect(scale.target(at: start + .seconds(-3600)) == 5)
        scale.ask(at: start + .seconds(-3600))
        #expect(scale.target(at: start) == 7)
    }

    // MARK: - A day

    /// A pool whose members take a second to start, two at a time, and what of a day it serves.
    private struct Day {
        static let maximum = 30
        var scale = PoolScale(minimum: 1, maximum: Self.maximum)
        var idle = 1
        var starting: [Int] = []
        var hits = 0
        var misses = 0
        var targets: [Int] = []
        var started = 0
        var removed = 0

        mutating func second(_ n: Int, asking count: Int) {
            let now = start + .seconds(n)
            idle += starting.count { $0 <= n }
            starting.removeAll { $0 <= n }
            for _ in 0..<count {
                scale.ask(at: now)
                if idle > 0 {
                    idle -= 1
                    hits += 1
                } else {
                    misses += 1
                }
            }
            let target = scale.target(at: now)
            targets.append(target)
            removed += max(0, idle - target)
            idle = min(idle, target)
            while starting.count < 2, idle + starting.count < target {
                starting.append(n + 1)
                started += 1
            }
        }

        var hitRate: Double { Double(hits) / Double(max(1, hits + misses)) }
        /// How often it turned from up to down or back.
        var turns: Int {
            let steps = zip(targets, targets.dropFirst()).map { $1 - $0 }.filter { $0 != 0 }
            return zip(steps, steps.dropFirst()).count { ($0 < 0) != ($1 < 0) }
        }
    }

    @Test func aDayOfBurstsSteadyLoadAndSilence() {
        var (random, day) = (SplitMix(state: 7), Day())
        for n in 0..<86_400 {
            let hour = n / 3600
            let count =
                switch hour {
                // Silence, but for one who works at night.
                case 0..<7: n % 1800 == 0 ? 1 : 0
                // Steady: one every other second, by chance.
                case 7..<12: Int.random(in: 0..<2, using: &random) == 0 ? 1 : 0
                // Twenty at once, every four minutes.
                case 12..<17: n % 240 == 0 ? 20 : 0
                default: Int.random(in: 0..<20, using: &random) == 0 ? 1 : 0
                }
            day.second(n, asking: count)
        }
        let text = "hit rate \(day.hitRate), \(day.turns) turns, \(day.started) started, \(day.removed) removed"
        print("PoolScaleTests: \(text)")
        #expect(day.hitRate > 0.99, "\(text)")
        #expect(day.targets.max() ?? 0 <= Day.maximum)
        #expect(day.targets[6 * 3600 + 1000] <= 2 && day.targets.last ?? 99 <= 4, "little in the silence: \(text)")
        // Each of the few changes of the load is one way up and one down, and so is somebody now and then.
        #expect(day.turns < 100, "no flapping: \(text)")
        #expect(day.removed < day.started / 20, "little is started for nothing: \(text)")
    }

    @Test func withoutScalingTheBurstsWouldMiss() {
        var day = Day()
        day.scale = PoolScale(minimum: 1, maximum: 1)
        for n in 0..<3600 { day.second(n, asking: n % 240 == 0 ? 20 : 0) }
        #expect(day.hitRate < 0.1, "or the simulation shows nothing")
    }
}
