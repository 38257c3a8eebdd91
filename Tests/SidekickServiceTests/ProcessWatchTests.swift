import SidekickService
import Testing

struct ProcessWatchTests {
    private static let limit = 64
    private let start = ContinuousClock.now

    /// One thread each.
    private static func facts(_ pids: some Sequence<Int32>, starts: Int = 7) -> ProcessWatch.Facts {
        let pids = Set(pids)
        return ProcessWatch.Facts(pids: pids, threads: pids.count, starts: UInt64(starts))
    }

    private static let soon = ProcessWatch.Order.wait(.milliseconds(20))

    /// - Parameter facts: at each step of 20 ms.
    /// - Returns: the first order to end somebody, and its step.
    private func firstEnd(_ facts: (Int) -> ProcessWatch.Facts) -> (step: Int, besides: Set<Int32>, fewest: Int)? {
        var watch = ProcessWatch(limit: Self.limit)
        for step in 0..<1000 {
            if case .end(let residents, let fewest) = watch.looked(facts(step), at: start + .milliseconds(20 * step)) {
                return (step, residents, fewest)
            }
        }
        return nil
    }

    @Test func theFullerItIsTheSoonerTheNextLook() {
        for (count, pause) in [(0, 200), (1, 200), (32, 200), (33, 20), (64, 20)] {
            var watch = ProcessWatch(limit: Self.limit)
            #expect(
                watch.looked(Self.facts(2..<Int32(2 + count)), at: start) == .wait(.milliseconds(pause)), "\(count)")
        }
    }

    @Test func whoHoldsAllPlacesAndStartsNothingIsLeftAlone() {
        #expect(firstEnd { _ in Self.facts(10..<74) } == nil)
    }

    @Test func whoFillsEachFreePlaceAgainGoesAndWhoWasThereStays() throws {
        // Six that were there, and those who come and go, eight of them at each look.
        let end = try #require(
            firstEnd { step in
                let young = Int32(100 + 8 * step)
                return Self.facts(Array(2..<8) + Array(young..<(young + 58)))
            })
        #expect(end.step == 10, "not before it has lasted a while, and then at once")
        #expect(end.besides == Set(2..<8).union(100..<158))
        #expect(end.fewest == 4)
    }

    @Test func whoReplacesItsProcessesSlowlyIsLeftAlone() {
        // Ten a second: twenty in the two seconds that count.
        #expect(
            firstEnd { step in
                let young = Int32(100 + step / 5)
                return Self.facts(young..<(young + 60))
            } == nil)
    }

    @Test func oneAfterTheOtherBesideManyIsNoCrowd() {
        // A shell that runs a new program at each look, among those that hold most places.
        #expect(firstEnd { step in Self.facts(Array(2..<62) + [Int32(100 + step)]) } == nil)
    }

    @Test func roomInBetweenBeginsItAnew() {
        // Every ninth look finds half of the places free: others can start.
        #expect(
            firstEnd { step in
                let young = Int32(100 + 8 * step)
                return Self.facts(young..<(young + (step % 9 == 0 ? 32 : 60)))
            } == nil)
    }

    @Test func whoHoldsAllPlacesForLongGoesWhenSomebodyElseNeedsOne() throws {
        let end = try #require(
            firstEnd { step in step == 0 ? Self.facts([2, 3]) : Self.facts(2..<66, starts: 7 + step / 10) })
        #expect(end.step == 101 && end.besides == [2, 3])
    }

    @Test func whoCameBeforeThatHasNoSay() {
        #expect(firstEnd { step in Self.facts(2..<66, starts: 100) } == nil)
    }

    @Test func whoWasThereForLongBeforeIsSpared() throws {
        // More than half of the places, for a minute; then somebody takes the rest.
        let end = try #require(
            firstEnd { step in Self.facts(Array(2..<42) + (step < 600 ? [] : Array(100..<124)), starts: step) })
        #expect(end.step == 700 && end.besides == Set(2..<42))
    }

    @Test func aFreePlaceIsEnoughForOthers() {
        // Now and then one of the last places is free.
        #expect(firstEnd { step in Self.facts(2..<(step % 90 == 0 ? 65 : 66), starts: step) } == nil)
        // For long, many are.
        #expect(
            firstEnd { step in Self.facts(2..<((1..<90).contains(step % 150) ? 66 : 52), starts: step) } == nil)
    }

    @Test func threadsTakePlacesToo() throws {
        let end = try #require(
            firstEnd { step in
                step == 0
                    ? Self.facts([2]) : ProcessWatch.Facts(pids: Set(2..<30), threads: 70, starts: UInt64(step))
            })
        #expect(end.besides == [2])
    }

    @Test func whoStartsThemOnAndOnIsToBlameTheSecondTime() {
        var watch = ProcessWatch(limit: Self.limit)
        var fewest: [Int] = []
        for step in 0..<40 {
            let young = Int32(100 + 8 * step)
            let order = watch.looked(Self.facts(young..<(young + 60)), at: start + .milliseconds(20 * step))
            if case .end(_, let number) = order { fewest.append(number) }
        }
        #expect(fewest == [4, 1, 1])
    }
}
