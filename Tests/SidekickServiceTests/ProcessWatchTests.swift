import SidekickService
import Testing

struct ProcessWatchTests {
    private static let limit = 64
    private let start = ContinuousClock.now

    @Test func theFullerItIsTheSoonerTheNextLook() {
        for (count, pause) in [(0, 200), (1, 200), (32, 200), (33, 20), (64, 20)] {
            var watch = ProcessWatch(limit: Self.limit)
            #expect(
                watch.looked(Set(2..<Int32(2 + count)), starts: 7, at: start) == .wait(.milliseconds(pause)), "\(count)"
            )
        }
    }

    @Test func whoHoldsAllPlacesAndStartsNothingIsLeftAlone() {
        var watch = ProcessWatch(limit: Self.limit)
        for step in 0..<1000 {
            let order = watch.looked(Set(10..<74), starts: 7, at: start + .milliseconds(20 * step))
            #expect(order == .wait(.milliseconds(20)))
        }
    }

    @Test func whoFillsEachFreePlaceAgainGoesAndWhoWasThereStays() {
        var watch = ProcessWatch(limit: Self.limit)
        for step in 0..<100 {
            // Six that were there, and those who come and go, eight of them at each look.
            let young = Int32(100 + 8 * step)
            let order = watch.looked(
                Set(2..<8).union(young..<(young + 58)), starts: 7, at: start + .milliseconds(20 * step))
            guard case .end(let residents) = order else { continue }
            #expect(step == 10, "not before it has lasted a while, and then at once")
            #expect(residents == Set(2..<8).union(100..<158))
            return
        }
        Issue.record("it was left alone")
    }

    @Test func whoReplacesItsProcessesSlowlyIsLeftAlone() {
        var watch = ProcessWatch(limit: Self.limit)
        for step in 0..<1000 {
            // Ten a second: twenty in the two seconds that count.
            let young = Int32(100 + step / 5)
            let order = watch.looked(Set(young..<(young + 60)), starts: 7, at: start + .milliseconds(20 * step))
            #expect(order == .wait(.milliseconds(20)))
        }
    }

    @Test func whoHoldsAllPlacesForLongGoesWhenSomebodyElseNeedsOne() {
        var watch = ProcessWatch(limit: Self.limit)
        #expect(watch.looked([2, 3], starts: 7, at: start) == .wait(.milliseconds(200)))
        for step in 0..<1000 {
            let order = watch.looked(
                Set(2..<66), starts: UInt64(7 + step / 10), at: start + .milliseconds(20 * step))
            guard case .end(let residents) = order else { continue }
            #expect(step == 100 && residents == [2, 3])
            // Whoever came before that has no say any more.
            #expect(watch.looked(Set(2..<66), starts: 17, at: start) == .wait(.milliseconds(20)))
            #expect(
                watch.looked(Set(2..<66), starts: 17, at: start + .seconds(60)) == .wait(.milliseconds(20)))
            return
        }
        Issue.record("it was left alone")
    }

    @Test func whoLeavesPlacesForOthersStays() {
        var watch = ProcessWatch(limit: Self.limit)
        for step in 0..<1000 {
            // Now and then one of the last places is free.
            let present = Set(Int32(2)..<(step % 90 == 0 ? 65 : 66))
            #expect(
                watch.looked(present, starts: UInt64(step), at: start + .milliseconds(20 * step))
                    == .wait(.milliseconds(20)))
        }
    }

    @Test func roomInBetweenBeginsItAnew() {
        var watch = ProcessWatch(limit: Self.limit)
        for step in 0..<1000 {
            let young = Int32(100 + 8 * step)
            // Every ninth look finds half of the places free: others can start.
            let order = watch.looked(
                Set(young..<(young + (step % 9 == 0 ? 32 : 60))), starts: 7, at: start + .milliseconds(20 * step))
            #expect(order == .wait(.milliseconds(step % 9 == 0 ? 200 : 20)))
        }
    }
}
