import ComputeCore
import ComputeRuntime
import Testing

private let large = MemberOrder(resources: ComputeResources(memoryBytes: 1 << 30))
private let small = MemberOrder(resources: ComputeResources(memoryBytes: 1 << 26))
private let one = PoolID("aaaaaaaaaaaaaaaaaaaa")!
private let two = PoolID("bbbbbbbbbbbbbbbbbbbb")!
private let three = PoolID("cccccccccccccccccccc")!

// Length: the machine that obeys the orders is needed by every one of these tests.

/// The pools of one machine by hand: each test tells them facts and looks at their orders.
struct PoolSetTests {
    /// What is done with the orders, and what is known of it.
    private struct Machine: ~Copyable {
        var pools: PoolSet
        var open: [(id: PoolSet.StartID, order: MemberOrder)] = []
        var removed: [MemberName] = []
        var given: [Member] = []
        var retries: [PoolSet.RetryID] = []
        var delays: [Duration] = []
        var count = 0

        init(own: Int = 0, concurrentStarts: Int = 2) {
            pools = PoolSet(.init(target: own, concurrentStarts: concurrentStarts))
            obey(pools.fill())
        }

        mutating func obey(_ orders: [PoolSet.Order]) {
            for order in orders {
                switch order {
                case .start(let id, let order): open.append((id, order))
                case .remove(let name): removed.append(name)
                case .give(let member, _): given.append(member)
                case .fail: break
                case .scheduleRetry(let id, let delay):
                    retries.append(id)
                    delays.append(delay)
                }
            }
        }

        mutating func set(_ orders: [PoolOrder]) { obey(pools.set(orders)) }

        /// The start that was ordered first is through.
        @discardableResult
        mutating func finish(after time: Duration = .milliseconds(200)) -> Member {
            count += 1
            let member = WarmPoolTests.member("m\(count)")
            obey(pools.startFinished(open.removeFirst().id, member, after: time))
            return member
        }

        mutating func finishAll() { while !open.isEmpty { finish() } }

        mutating func fail(_ code: RuntimeError.Code = .unavailable) {
            obey(pools.startFailed(open.removeFirst().id, RuntimeError(code, "broken")))
        }

        mutating func take(_ id: PoolID, _ order: MemberOrder) -> Member? {
            let (member, orders) = pools.take(of: id, order)
            obey(orders)
            return member
        }

        mutating func makeRoom() -> MemberName? {
            let (name, orders) = pools.makeRoom()
            obey(orders)
            return name
        }

        mutating func retry() { for id in retries.removeAllNow() { obey(pools.retryDue(id)) } }
    }

    /// Each is of a group of its own, unless it says which.
    private func order(_ id: PoolID, _ members: MemberOrder, _ target: Int, of group: String? = nil) -> PoolOrder {
        PoolOrder(id: id, group: GroupID(group ?? id.rawValue), members: members, target: target)
    }

    @Test func aPoolIsFilledAndGivesEachMemberOnce() {
        var machine = Machine()
        machine.set([order(one, large, 2)])
        machine.finishAll()
        #expect(machine.pools.statuses[one]?.idle == 2 && machine.pools.statuses[one]?.starting == 0)
        #expect(machine.pools.statuses[one]?.startTime == .milliseconds(200))
        #expect(machine.pools.idleCount == 0, "not of the own pool")
        let (own, _) = machine.pools.take()
        #expect(own == nil, "nor given as one of it")
        let (first, second) = (machine.take(one, large), machine.take(one, large))
        #expect(first != nil && second != nil && first != second)
        let third = machine.take(one, large)
        #expect(third == nil)
        #expect(machine.open.map(\.order) == [large, large], "both are replaced")
    }

    @Test func onlyWhatWasMadeExactlySoIsGiven() {
        var machine = Machine()
        machine.set([order(one, large, 1), order(two, small, 1)])
        machine.finishAll()
        let wrong = [machine.take(one, small), machine.take(one, .fromPool), machine.take(two, large)]
        #expect(wrong == [nil, nil, nil])
        let right = machine.take(two, small)
        #expect(right != nil)
    }

    @Test func whoTellsTwiceChangesNothing() {
        var machine = Machine()
        machine.set([order(one, large, 3)])
        machine.finish()
        let before = machine.open.count
        for _ in 0..<5 { machine.set([order(one, large, 3)]) }
        #expect(machine.open.count == before && machine.removed.isEmpty)
    }

    @Test func aSmallerPoolRemovesWhatIsTooMuch() {
        var machine = Machine()
        machine.set([order(one, large, 3)])
        machine.finishAll()
        machine.set([order(one, large, 1)])
        #expect(machine.removed.count == 2 && machine.pools.statuses[one]?.idle == 1)
    }

    @Test func startsThatAreNotNeededAnyMoreDoNotBegin() {
        var machine = Machine(concurrentStarts: 1)
        machine.set([order(one, large, 1), order(two, small, 1)])
        #expect(machine.open.map(\.order) == [large])
        machine.set([order(one, large, 1), order(two, small, 0)])
        machine.finishAll()
        #expect(machine.count == 1 && machine.pools.statuses[two]?.starting == 0)
    }

    // MARK: - What is not ordered any more

    @Test func aPoolThatIsNotThereAnyMoreIsEmptied() {
        var machine = Machine()
        machine.set([order(one, large, 2), order(two, small, 1)])
        let first = machine.finish()
        machine.set([order(two, small, 1)])
        #expect(machine.removed == [first.name] && machine.pools.statuses[one] == nil)
        machine.finishAll()
        #expect(machine.removed.count == 2, "also what was on its way")
        #expect(machine.pools.statuses[two]?.idle == 1)
        let none = machine.take(one, large)
        #expect(none == nil)
    }

    @Test func oldMembersAreReplacedOneByOne() {
        var machine = Machine()
        machine.set([order(one, small, 2)])
        machine.finishAll()
        machine.set([order(one, large, 2)])
        #expect(machine.removed.isEmpty, "before there is another one")
        #expect(machine.pools.statuses[one]?.idle == 0, "an old one is none of it")
        for _ in 0..<3 { machine.set([order(one, large, 2)]) }
        #expect(machine.removed.isEmpty, "telling it again removes none")
        let none = machine.take(one, .fromPool)
        #expect(none == nil)
        machine.finish()
        #expect(machine.removed.count == 1)
        machine.finishAll()
        #expect(machine.removed.count == 2 && machine.pools.statuses[one]?.idle == 2)
        let old = machine.take(one, small)
        #expect(old == nil)
    }

    @Test func whoWantsTheOldOneGetsItWhileItIsThere() {
        var machine = Machine()
        machine.set([order(one, small, 1)])
        let old = machine.finish()
        machine.set([order(one, large, 1)])
        let taken = machine.take(one, small)
        #expect(taken == old)
        machine.finishAll()
        #expect(machine.open.isEmpty && machine.removed.isEmpty, "and nothing replaces it")
    }

    @Test func whatIsOrderedAgainGoesOn() {
        var machine = Machine()
        machine.set([order(one, small, 2)])
        machine.finishAll()
        machine.set([order(one, large, 2)])
        machine.set([order(one, small, 2)])
        #expect(machine.pools.statuses[one]?.idle == 2 && machine.removed.isEmpty)
        machine.finishAll()
        #expect(machine.removed.count == machine.count - 2, "what came of the other order goes")
        #expect(machine.pools.statuses[one]?.idle == 2)
    }

    @Test func withoutRoomForBothTheOldOneGoesFirst() {
        var machine = Machine(concurrentStarts: 1)
        machine.set([order(one, small, 2)])
        machine.finishAll()
        machine.set([order(one, large, 2)])
        machine.fail(.outOfCapacity)
        #expect(machine.removed.count == 1)
        #expect(machine.pools.statuses[one]?.failure?.code == .outOfCapacity)
        machine.retry()
        machine.finishAll()
        #expect(machine.pools.statuses[one]?.idle == 2 && machine.removed.count == 2)
        #expect(machine.pools.statuses[one]?.failure == nil)
    }

    // MARK: - Turns

    @Test func poolsGoInTurnAndNoMoreStartThanTheMachineTakes() {
        var machine = Machine(concurrentStarts: 1)
        machine.set([order(one, large, 3), order(two, small, 3)])
        var begun: [MemberOrder] = []
        while let next = machine.open.first {
            #expect(machine.open.count == 1)
            begun.append(next.order)
            machine.finish()
        }
        #expect(begun == [large, small, large, small, large, small])
    }

    @Test func whoWaitsForTheOwnPoolComesFirst() {
        var machine = Machine(concurrentStarts: 1)
        machine.set([order(one, large, 2), order(two, small, 2)])
        let (_, orders) = machine.pools.wait()
        machine.obey(orders)
        machine.finish()
        #expect(machine.open.map(\.order) == [.fromPool])
        let member = machine.finish()
        #expect(machine.given == [member])
    }

    @Test func startsThatHangHoldUpThemselvesAlone() {
        var machine = Machine(own: 0, concurrentStarts: 2)
        machine.set([order(one, large, 5), order(two, small, 5)])
        #expect(machine.open.count == 1, "nobody knows yet whether they start")
        machine.finish()
        #expect(machine.open.count == 2, "one of them does")
        var own = Machine(own: 2, concurrentStarts: 2)
        own.set([order(one, large, 5), order(two, small, 5)])
        #expect(own.open.map(\.order) == [.fromPool, .fromPool])
        own.finish()
        own.finish()
        #expect(own.open.count == 1, "one place is left")
    }

    @Test func aPoolThatDoesNotStartWaitsAndSaysWhy() {
        var machine = Machine(concurrentStarts: 2)
        machine.set([order(one, large, 2), order(two, small, 2)])
        machine.fail(.badImage)
        #expect(machine.pools.statuses[one]?.failure?.code == .badImage)
        machine.finishAll()
        #expect(machine.pools.statuses[two]?.idle == 2 && machine.pools.statuses[one]?.idle == 0)
        machine.retry()
        machine.finishAll()
        #expect(machine.pools.statuses[one]?.idle == 2 && machine.pools.statuses[one]?.failure == nil)
    }

    /// A group with many pools is one group.
    @Test func groupsGoInTurnHoweverManyPoolsTheyHave() {
        var machine = Machine(concurrentStarts: 1)
        let many = (0..<20).map { _ in order(.random(), large, 1, of: "many") }
        machine.set(many)
        machine.set(many + [order(one, small, 2, of: "few")])
        var begun: [MemberOrder] = []
        while let next = machine.open.first {
            begun.append(next.order)
            machine.finish()
        }
        #expect(begun.prefix(4) == [large, small, large, small] && begun.count == 22)
    }

    /// Nobody waits behind more than one start of each group, however the others' starts end.
    @Test func poolsThatNeverStartHoldUpAnotherGroupForOneStart() {
        var machine = Machine(concurrentStarts: 2)
        let broken = (0..<20).map { _ in order(.random(), large, 1, of: "many") }
        machine.set(broken)
        for _ in 0..<30 {
            machine.fail(.deadlineExceeded)
            machine.retry()
        }
        machine.set(broken + [order(one, small, 1, of: "few")])
        #expect(machine.open.map(\.order) == [large], "the place for those that nobody knows to start")
        machine.fail(.deadlineExceeded)
        #expect(machine.open.map(\.order) == [small])
    }

    /// Also when its pools are always new ones.
    @Test func whoDeletesAndMakesPoolsIsNotAlwaysTheNext() {
        var machine = Machine(concurrentStarts: 1)
        let kept = [order(one, small, 1, of: "kept"), order(two, small, 1, of: "too")]
        machine.set([order(three, large, 1, of: "new")] + kept)
        var begun: [MemberOrder] = []
        for _ in 0..<4 {
            begun += machine.open.map(\.order)
            let fresh = order(.random(), large, 1, of: "new")
            machine.set(kept)
            machine.set([fresh] + kept)
            machine.fail(.deadlineExceeded)
            machine.retry()
        }
        #expect(begun.count { $0 == small } >= 2, "\(begun)")
    }

    @Test func ofAGroupThoseThatFailedComeLast() {
        var machine = Machine(concurrentStarts: 1)
        machine.set([order(one, large, 1, of: "a")])
        machine.fail(.badImage)
        machine.set([order(one, large, 1, of: "a"), order(two, small, 2, of: "a")])
        machine.retry()
        var begun: [MemberOrder] = []
        while let next = machine.open.first {
            begun.append(next.order)
            machine.finish()
        }
        #expect(begun == [small, small, large])
    }

    @Test func aPoolThatKeepsFailingAsksLessAndLess() {
        var machine = Machine(own: 1, concurrentStarts: 1)
        for _ in 0..<20 {
            machine.fail(.badImage)
            machine.retry()
        }
        #expect(machine.delays.max() == .seconds(15), "a create may wait for one of the own pool")
        machine = Machine(concurrentStarts: 1)
        machine.set([order(one, large, 1)])
        for _ in 0..<20 {
            machine.fail(.badImage)
            machine.retry()
        }
        #expect(machine.delays.first == .milliseconds(250) && machine.delays.last == .seconds(300))
        machine.fail(.badImage)
        machine.set([order(one, small, 1)])
        #expect(machine.open.map(\.order) == [small], "another order is tried at once")
    }

    @Test func whatIsNotWantedAnyMoreIsNoFailure() {
        var machine = Machine(concurrentStarts: 1)
        machine.set([order(one, large, 2)])
        machine.finish()
        machine.fail(.badImage)
        #expect(machine.pools.statuses[one]?.failure?.code == .badImage)
        machine.set([order(one, large, 1)])
        #expect(machine.pools.statuses[one]?.failure == nil, "it has all that it shall have")
        machine.set([order(one, large, 2)])
        #expect(machine.open.count == 1, "when more is wanted again it is tried again")
        machine.retry()
        #expect(machine.open.count == 1, "and once")
        machine.fail(.badImage)
        #expect(machine.pools.statuses[one]?.failure?.code == .badImage)
        machine.set([order(one, large, 0)])
        #expect(machine.pools.statuses[one]?.failure == nil && machine.pools.statuses[one]?.starting == 0)
    }

    // MARK: - Room

    @Test func roomIsMadeByTheGroupThatHasTheMost() {
        var machine = Machine(concurrentStarts: 1)
        machine.set([
            order(one, large, 2, of: "a"), order(two, small, 3, of: "b"), order(three, small, 2, of: "a"),
        ])
        machine.finishAll()
        let name = machine.makeRoom()
        #expect(name.map { machine.removed == [$0] } == true && machine.pools.idleNames.count == 6)
        let idle = machine.pools.statuses.mapValues(\.idle)
        #expect(idle[one, default: 0] + idle[three, default: 0] == 3 && idle[two] == 3, "the group, not the pool")
        #expect(machine.open.isEmpty, "what was freed is not for the one that goes")
        #expect(machine.pools.statuses.values.compactMap(\.failure?.code) == [.outOfCapacity])
        machine.retry()
        #expect(machine.open.count == 1, "it comes back when there is room")
        machine.finishAll()
        #expect(machine.pools.statuses.values.allSatisfy { $0.idle == $0.target && $0.failure == nil })
        for _ in 0..<7 {
            let name = machine.makeRoom()
            #expect(name != nil)
        }
        let none = machine.makeRoom()
        #expect(none == nil && Set(machine.removed).count == 8)
    }

    @Test func theOwnPoolGivesNoneAndMakesRoomOnlyForWhoWaits() {
        var machine = Machine(own: 1, concurrentStarts: 1)
        machine.finish()
        let none = machine.makeRoom()
        #expect(none == nil && machine.pools.idleCount == 1)
        machine.set([order(one, large, 2)])
        machine.finishAll()
        let (_, taking) = machine.pools.take()
        machine.obey(taking)
        machine.fail(.outOfCapacity)
        #expect(machine.removed.isEmpty, "nobody waits")
        let (_, waiting) = machine.pools.wait()
        machine.obey(waiting)
        machine.retry()
        machine.fail(.outOfCapacity)
        #expect(machine.removed.count == 1)
        machine.retry()
        while let next = machine.open.first, next.order != .fromPool { machine.fail(.outOfCapacity) }
        let member = machine.finish()
        #expect(machine.given == [member])
    }

    // MARK: - Ends

    @Test func whatDiesIsReplacedAndWhatIsRemovedFromOutsideToo() {
        var machine = Machine()
        machine.set([order(one, large, 2)])
        let (first, second) = (machine.finish(), machine.finish())
        machine.obey(machine.pools.idleMemberDied(first.name, age: .seconds(60)))
        #expect(machine.removed == [first.name] && machine.open.count == 1)
        machine.obey(machine.pools.forget(second.name))
        #expect(!machine.pools.isIdle(second.name) && machine.open.count == 2)
        machine.finishAll()
        #expect(machine.pools.statuses[one]?.idle == 2)
    }

    @Test func aDrainLeavesNothingInAnyPool() {
        var machine = Machine(own: 1)
        machine.set([order(one, large, 2)])
        machine.finish()
        machine.finish()
        machine.obey(machine.pools.drain())
        machine.finishAll()
        machine.retry()
        machine.set([order(two, small, 2)])
        #expect(machine.open.isEmpty && Set(machine.removed).count == machine.count)
        #expect(machine.pools.statuses.isEmpty && machine.pools.idleCount == 0)
    }

    /// Whatever happens in whatever order: no member is given twice or lost, no more start than may, and no pool has more
    /// than was ordered.
    @Test func promisesHoldOnRandomWalks() {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("PoolSetTests seed \(seed)")
        var random = SplitMix(state: seed)
        for walk in 0..<200 {
            let starts = Int.random(in: 1...3, using: &random)
            var machine = Machine(own: Int.random(in: 0...2, using: &random), concurrentStarts: starts)
            var owned: Set<MemberName> = []
            func broken(_ text: String) { Issue.record("seed \(seed), walk \(walk): \(text)") }
            for _ in 0..<200 {
                switch Int.random(in: 0..<11, using: &random) {
                case 0...3: if !machine.open.isEmpty { machine.finish() }
                case 4:
                    if !machine.open.isEmpty {
                        machine.fail(Bool.random(using: &random) ? .outOfCapacity : .unavailable)
                    }
                case 5: machine.retry()
                case 10:
                    let before = machine.pools.idleNames
                    if let name = machine.makeRoom(), !before.contains(name) { broken("\(name) was not idle") }
                case 6, 7:
                    let id = Bool.random(using: &random) ? one : two
                    let kind = Bool.random(using: &random) ? small : large
                    if let member = machine.take(id, kind), !owned.insert(member.name).inserted {
                        broken("\(member.name) was given twice")
                    }
                default:
                    machine.set(
                        [one, two].filter { _ in Int.random(in: 0..<4, using: &random) > 0 }.map {
                            order(
                                $0, Bool.random(using: &random) ? small : large, Int.random(in: 0...3, using: &random))
                        })
                }
                if machine.open.count > starts { broken("\(machine.open.count) starts at once") }
                for (id, status) in machine.pools.statuses where status.idle > status.target {
                    broken("\(id) has \(status.idle) of \(status.target)")
                }
                if !owned.isDisjoint(with: machine.removed) { broken("what was given is removed") }
            }
            machine.obey(machine.pools.drain())
            machine.finishAll()
            let all = Set((0..<machine.count).map { MemberName("m\($0 + 1)") })
            if Set(machine.removed).union(owned) != all { broken("members are left after the drain") }
        }
    }
}

extension Array {
    fileprivate mutating func removeAllNow() -> [Element] {
        defer { removeAll() }
        return self
    }
}
