import APIService
import Testing

struct FairTurnsTests {
    private typealias Turns = FairTurns<String>

    @Test func whoComesWhileNobodyWaitsGoesAtOnceAlsoBesideABurst() {
        var turns = Turns(.init(places: 4, placesOfOne: 2))
        let burst = (0..<1000).map { turns.enter($0, of: "a") }
        #expect(burst.prefix(2).allSatisfy { $0 == .go } && burst.dropFirst(2).allSatisfy { $0 == .wait })
        let other = turns.enter(2000, of: "b")
        #expect(other == .go)
        #expect(turns.insideCount == 3 && turns.waitingCount == 998)
    }

    @Test func ownersGoInTurnAndEachInItsOwnOrder() {
        var turns = Turns(.init(places: 1, placesOfOne: 1))
        _ = turns.enter(0, of: "x")
        for ticket in 10..<13 { _ = turns.enter(ticket, of: "a") }
        for ticket in 20..<22 { _ = turns.enter(ticket, of: "b") }
        _ = turns.enter(30, of: "c")
        var (order, last): ([Int], String) = ([], "x")
        while let ticket = turns.leave(last).first {
            order.append(ticket)
            last = ["a", "b", "c"][ticket / 10 - 1]
        }
        #expect(order == [10, 20, 30, 11, 21, 12])
        #expect(turns.insideCount == 0 && turns.waitingCount == 0)
    }

    /// Who has all the places that he may have waits for one of his own, and nobody waits for him.
    @Test func whoHasAllThatHeMayIsPassedOver() {
        var turns = Turns(.init(places: 3, placesOfOne: 2))
        for ticket in 0..<4 { _ = turns.enter(ticket, of: "a") }
        let entries = [turns.enter(10, of: "b"), turns.enter(11, of: "b")]
        #expect(entries == [.go, .wait])
        let next = ["b", "a", "b", "a"].map { turns.leave($0) }
        #expect(next == [[11], [2], [], [3]])
    }

    @Test func whatWaitsIsBoundedForOneAndForAll() {
        var turns = Turns(.init(places: 1, placesOfOne: 1, waitingOfOne: 2, waiting: 3))
        let first = (0..<4).map { turns.enter($0, of: "a") }
        let second = [turns.enter(10, of: "b"), turns.enter(11, of: "b"), turns.enter(20, of: "c")]
        #expect(first == [.go, .wait, .wait, .refused])
        #expect(second == [.wait, .refused, .refused])
    }

    @Test func whoWithdrawsIsForgottenAndWhoseTurnItIsCannot() {
        var turns = Turns(.init(places: 1, placesOfOne: 1))
        for ticket in 0..<3 { _ = turns.enter(ticket, of: "a") }
        // One that is inside; one that waits, and again; the next one's turn comes before it withdraws.
        let withdrawals = [turns.withdraw(0, of: "a"), turns.withdraw(1, of: "a"), turns.withdraw(1, of: "a")]
        #expect(withdrawals == [false, true, false])
        let next = turns.leave("a")
        let isLate = !turns.withdraw(2, of: "a")
        #expect(next == [2] && isLate)
        let rest = [turns.leave("a"), turns.leave("a")]
        #expect(rest == [[], []], "one time too many does no harm")
        #expect(turns.insideCount == 0)
    }

    /// Beside others an owner has fewer places, and all of them again when they have not come for a while.
    @Test func whoIsNotTheOnlyOneHasFewerPlaces() {
        var turns = Turns(.init(places: 8, placesOfOne: 4, placesBesideOthers: 1))
        for ticket in 0..<100 { _ = turns.enter(ticket, of: "a") }
        #expect(turns.insideCount == 4 && turns.share(of: "a") == 4)
        let other = turns.enter(1000, of: "b")
        #expect(other == .go && turns.share(of: "a") == 1)
        // Of its own four, three leave before the next one goes in.
        let admitted = (0..<4).map { _ in turns.leave("a").count }
        #expect(admitted == [0, 0, 0, 1])
        _ = turns.leave("b")
        var mostAtOnce = 1
        for _ in 0..<Turns.memory { mostAtOnce = max(mostAtOnce, turns.leave("a").count) }
        #expect(turns.share(of: "a") == 4 && mostAtOnce == 4, "all at once when it is alone again")
    }

    /// Whatever happens: no limit is passed, no place is free for somebody who waits, nobody is let in twice, and before the
    /// turn of one who waits and may go each of the others comes once at most.
    @Test(arguments: 0..<30) func aWalkKeepsEveryPromise(seed: UInt64) {
        var generator = SplitMix(state: seed)
        let places = Int.random(in: 1...6, using: &generator)
        let limits = Turns.Limits(
            places: places, placesOfOne: Int.random(in: 1...places, using: &generator),
            placesBesideOthers: Int.random(in: 1...places, using: &generator), waitingOfOne: 20, waiting: 50)
        var turns = Turns(limits)
        var (inside, waiting): ([Int: String], [Int: String]) = ([:], [:])
        /// How many of others went since the one that waits longest of each owner began to.
        var passed: [String: Int] = [:]
        for ticket in 0..<3000 {
            switch Int.random(in: 0..<10, using: &generator) {
            case 0..<5:
                let owner = ["a", "b", "c", "d"][Int.random(in: 0..<4, using: &generator)]
                switch turns.enter(ticket, of: owner) {
                case .go: inside[ticket] = owner
                case .wait: waiting[ticket] = owner
                case .refused:
                    #expect(waiting.count == 50 || waiting.values.count { $0 == owner } == 20, "\(limits)")
                }
            case 5..<9:
                guard let done = inside.keys.randomElement(using: &generator), let owner = inside[done] else {
                    continue
                }
                inside[done] = nil
                for next in turns.leave(owner) {
                    guard let nextOwner = waiting.removeValue(forKey: next) else {
                        Issue.record("\(next) did not wait")
                        return
                    }
                    #expect(
                        waiting.filter { $0.value == nextOwner }.keys.allSatisfy { $0 > next }, "in order, seed \(seed)"
                    )
                    inside[next] = nextOwner
                    passed[nextOwner] = 0
                    for other in Set(waiting.values) where other != nextOwner {
                        // Unless it has all that it may.
                        if inside.values.count(where: { $0 == other }) < turns.share(of: other) {
                            passed[other, default: 0] += 1
                        }
                        #expect(passed[other, default: 0] <= 3, "each of the others once: \(limits), seed \(seed)")
                    }
                }
                let counts = Dictionary(grouping: inside.values, by: \.self).mapValues(\.count)
                if inside.count < limits.places {
                    for owner in waiting.values {
                        #expect(
                            counts[owner, default: 0] >= turns.share(of: owner),
                            "a place is free: \(limits), seed \(seed)")
                    }
                }
            default:
                guard let gone = waiting.keys.randomElement(using: &generator), let owner = waiting[gone] else {
                    continue
                }
                let isGone = turns.withdraw(gone, of: owner)
                #expect(isGone)
                waiting[gone] = nil
            }
            #expect(turns.insideCount == inside.count && inside.count <= limits.places)
            #expect(turns.waitingCount == waiting.count)
            let counts = Dictionary(grouping: inside.values, by: \.self).mapValues(\.count)
            #expect(counts.values.allSatisfy { $0 <= limits.placesOfOne })
            #expect(waiting.isEmpty || !inside.isEmpty, "somebody will leave")
            passed = passed.filter { waiting.values.contains($0.key) }
        }
    }
}
