import ComputeCore
import ComputeDomain
import EventSourcing
import Testing

struct UsageTests {
    private let size = MeteredSize(cpuThousandths: 250, memoryMiB: 64)

    @Test(
        arguments: [
            ("1970-01-01", 0), ("1969-12-31", -1), ("2024-02-29", 19782), ("2026-11-29", 20786),
            ("9999-12-31", 2_932_896),
        ] as [(String, Int64)]) func aDayReadsBackWhatItWrote(_ text: String, _ number: Int64)
    {
        #expect(UsageDay(text)?.number == number)
        #expect(UsageDay(number: number).description == text)
    }

    @Test(arguments: [
        "", "2026-02-30", "2026-13-01", "2026-1-1", "26-01-01", "2026-01-01T00:00:00Z", "2026/01/01", "yesterday!",
        "2026-01-0１",
    ]) func whatIsNoDayIsNone(_ text: String) {
        #expect(UsageDay(text) == nil)
    }

    @Test func aDayEndsWhereTheNextOneBegins() {
        for milliseconds in [-86_400_001, -86_400_000, -1, 0, 86_399_999, 86_400_000] as [Int64] {
            let day = UsageDay(WallTime(milliseconds: milliseconds))
            #expect(day.start.milliseconds <= milliseconds && milliseconds < day.end.milliseconds)
            #expect(day.advanced(by: 1).start == day.end)
        }
    }

    /// However a time is cut into spans, and wherever midnight falls, its parts sum up to the whole.
    @Test(arguments: 0..<50) func partsOfATimeSumUpToIt(seed: UInt64) {
        var generator = SplitMix(state: seed)
        let from = Int64.random(in: 0...4_000_000_000, using: &generator)
        let until = from + Int64.random(in: 0...500_000_000, using: &generator)
        var cuts = (0..<5).map { _ in Int64.random(in: from...until, using: &generator) }.sorted()
        cuts = [from] + cuts + [until]
        var parts: UsageByDay = [:]
        for (one, next) in zip(cuts, cuts.dropFirst()) { parts.add(span(one, next).byDay) }
        #expect(parts == span(from, until).byDay, "from \(from) until \(until), seed \(seed)")
        #expect(parts.values.reduce(0) { $0 + $1.compute } == until - from)
        #expect(parts.values.reduce(0) { $0 + $1.cpu } == (until - from) * 250)
        #expect(parts.values.allSatisfy { 0 < $0.compute && $0.compute <= 86_400_000 })
    }

    @Test func aClockThatWasSetBackCountsNothingTwice() throws {
        #expect(span(1000, 500).byDay.isEmpty)
        var spec = spec
        spec.granted = ComputeResources(cpus: 1)
        let events: [(ComputeEvent, Int)] = [
            (.requested(spec, at: t0), 0), (.started(place(1), expiresAt: t0 + .seconds(600)), 0),
            (.paused(Generation(1)), 100), (.resumed(place(1)), 50), (.ended(.deleted), 200),
        ]
        let history = events.enumerated().map { index, event in
            RecordedEvent(
                position: Int64(index) + 1, stream: .compute(ComputeID("abcdefgh12345678")!), version: index + 1,
                group: .default, type: event.0.recorded.type, data: event.0.recorded.data, metadata: .system,
                occurredAt: t0 + .seconds(event.1))
        }
        let usage = try ComputeSummary.usage(of: history)
        #expect(usage.values.reduce(0) { $0 + $1.compute } == 200_000)
    }

    @Test func whatIsStoppedTakesNothing() throws {
        let events: [(ComputeEvent, Int)] = [
            (.requested(spec, at: t0), 0), (.started(place(1), expiresAt: t0), 0),
            (.stopped(Generation(1), deleteAt: t0), 100), (.started(place(2), expiresAt: t0), 1100),
            (.paused(Generation(2)), 1120), (.stopped(Generation(2), deleteAt: t0), 1150),
            // A clock that was set back.
            (.started(place(3), expiresAt: t0), 1140), (.ended(.deleted), 1160),
        ]
        let history = events.enumerated().map { index, event in
            RecordedEvent(
                position: Int64(index) + 1, stream: .compute(ComputeID("abcdefgh12345678")!), version: index + 1,
                group: .default, type: event.0.recorded.type, data: event.0.recorded.data, metadata: .system,
                occurredAt: t0 + .seconds(event.1))
        }
        let usage = try ComputeSummary.usage(of: history)
        #expect(usage.values.reduce(0) { $0 + $1.compute } == 160_000)
    }

    private func span(_ from: Int64, _ until: Int64) -> UsageSpan {
        UsageSpan(
            from: WallTime(milliseconds: from), until: WallTime(milliseconds: until), size: size, isPaused: false)
    }
}
