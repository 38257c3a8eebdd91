import ComputeCore
import ComputeRuntime
import Testing

/// The pool by hand: each test tells it facts and looks at its orders.
@Suite struct WarmPoolTests {
    static func member(_ name: String) -> Member {
        Member(
            name: MemberName(name), sidekick: .unix(path: "/\(name)/s"), sidekickInternal: .unix(path: "/\(name)/i"),
            portHost: "127.0.0.1")
    }
    private func member(_ name: String) -> Member { Self.member(name) }

    private func starts(_ orders: [WarmPool.Order]) -> [WarmPool.StartID] {
        orders.compactMap { if case .start(let id) = $0 { id } else { nil } }
    }
    private func retry(_ orders: [WarmPool.Order]) -> (WarmPool.RetryID, Duration)? {
        for case .scheduleRetry(let id, let after) in orders { return (id, after) }
        return nil
    }

    @Test func startsAreBoundedWhileThePoolFills() {
        var pool = WarmPool(.init(target: 3, concurrentStarts: 2))
        let first = starts(pool.fill())
        #expect(first.count == 2)
        #expect(starts(pool.fill()).isEmpty)
        let third = starts(pool.startFinished(first[0], member("a")))
        #expect(third.count == 1)
        #expect(pool.startFinished(first[1], member("b")).isEmpty)
        #expect(pool.startFinished(third[0], member("c")).isEmpty)
        #expect(pool.idleCount == 3)
        #expect(pool.startingCount == 0)
    }

    @Test func aTakenMemberIsReplacedAndNeverGivenAgain() {
        var pool = WarmPool(.init(target: 1))
        let start = starts(pool.fill())[0]
        _ = pool.startFinished(start, member("a"))
        let (taken, orders) = pool.take()
        #expect(taken == member("a"))
        #expect(starts(orders).count == 1)
        #expect(pool.take().0 == nil)
        // A second report of the same start is our own mistake, and must not put the member back.
        #expect(pool.startFinished(start, member("a")) == [.remove(MemberName("a"))])
        #expect(pool.take().0 == nil)
    }

    @Test func theLongestWaiterGetsTheFirstMember() {
        var pool = WarmPool(.init(target: 0, concurrentStarts: 1))
        let (first, orders) = pool.wait()
        let (second, none) = pool.wait()
        #expect(none.isEmpty)
        let next = pool.startFinished(starts(orders)[0], member("a"))
        #expect(next.first == .give(member("a"), first))
        #expect(pool.startFinished(starts(next)[0], member("b")) == [.give(member("b"), second)])
        #expect(pool.idleCount == 0)
    }

    @Test func aWaiterTakesWhatIsIdle() {
        var pool = WarmPool(.init(target: 1))
        _ = pool.startFinished(starts(pool.fill())[0], member("a"))
        let (waiter, orders) = pool.wait()
        #expect(orders.first == .give(member("a"), waiter))
        let gaveUp = pool.giveUp(waiter)
        #expect(!gaveUp)
    }

    @Test func aMemberNobodyWaitsForAnyMoreIsRemovedWhenThePoolIsFull() {
        var pool = WarmPool(.init(target: 0))
        let (waiter, orders) = pool.wait()
        let gaveUp = pool.giveUp(waiter)
        #expect(gaveUp)
        #expect(pool.startFinished(starts(orders)[0], member("a")) == [.remove(MemberName("a"))])
    }

    private func filledPool(_ target: Int, refillPause: Duration) -> WarmPool {
        var settings = WarmPool.Settings(target: target, concurrentStarts: target)
        settings.refillPause = refillPause
        var pool = WarmPool(settings)
        for (index, start) in starts(pool.fill()).enumerated() { _ = pool.startFinished(start, member("m\(index)")) }
        return pool
    }

    @Test func refillingWaitsUntilNobodyTakesAnyMore() throws {
        var pool = filledPool(2, refillPause: .milliseconds(250))
        let (first, orders) = pool.take()
        #expect(first != nil && starts(orders).isEmpty)
        let (pause, delay) = try #require(retry(orders))
        #expect(delay == .milliseconds(250))
        // The next take begins the pause anew; the first timer has nothing to say any more.
        let (_, again) = pool.take()
        let (renewed, _) = try #require(retry(again))
        #expect(pool.retryDue(pause).isEmpty)
        #expect(starts(pool.retryDue(renewed)).count == 2)
    }

    @Test func takesThatGoOnDoNotPutRefillingOffForEver() throws {
        var pool = filledPool(2, refillPause: .milliseconds(250))
        let (_, orders) = pool.take()
        let timers = orders.compactMap { order -> (WarmPool.RetryID, Duration)? in
            if case .scheduleRetry(let id, let after) = order { (id, after) } else { nil }
        }
        let latest = try #require(timers.max { $0.1 < $1.1 })
        #expect(latest.1 == .seconds(2))
        _ = pool.take()
        #expect(starts(pool.retryDue(latest.0)).count == 2)
    }

    @Test func whoWaitsForAMemberEndsThePause() {
        var pool = filledPool(1, refillPause: .milliseconds(250))
        let (_, orders) = pool.take()
        #expect(starts(orders).isEmpty)
        let (_, waiting) = pool.wait()
        #expect(starts(waiting).count == 1)
    }

    @Test func failuresBackOffAndOneStartProbes() throws {
        var pool = WarmPool(.init(target: 2, concurrentStarts: 2))
        let both = starts(pool.fill())
        let (id, delay) = try #require(retry(pool.startFailed(both[0], reason: "no disk")))
        #expect(delay == .milliseconds(250))
        #expect(pool.health == .failing(failures: 1, reason: "no disk"))
        // Its twin fails of the same cause: no second timer, no longer backoff.
        #expect(pool.startFailed(both[1], reason: "no disk").isEmpty)
        let probe = starts(pool.retryDue(id))
        #expect(probe.count == 1)
        #expect(pool.retryDue(id).isEmpty)
        let (_, longer) = try #require(retry(pool.startFailed(probe[0], reason: "no disk")))
        #expect(longer == .milliseconds(500))
    }

    @Test func repeatedFailuresDegradeThePoolUntilAStartSucceeds() throws {
        var pool = WarmPool(.init(target: 1, concurrentStarts: 1))
        var start = starts(pool.fill())[0]
        let (waiter, _) = pool.wait()
        for number in 1...5 {
            let orders = pool.startFailed(start, reason: "broken image")
            #expect(orders.contains(.fail(waiter, .unavailable, reason: "broken image")) == (number == 5))
            let (id, _) = try #require(retry(orders))
            if number == 5 {
                // While the backoff runs, who comes is refused at once instead of being kept waiting.
                let (late, refusal) = pool.wait()
                #expect(refusal == [.fail(late, .unavailable, reason: "broken image")])
            }
            start = starts(pool.retryDue(id))[0]
        }
        #expect(pool.health == .degraded(failures: 5, reason: "broken image"))
        #expect(pool.unreadyReason == "members do not start: broken image")
        #expect(pool.startFinished(start, member("a")).isEmpty)
        #expect(pool.health == .healthy)
        #expect(pool.unreadyReason == nil)
    }

    @Test func membersThatDieYoungBackOffThoughTheirStartsSucceed() throws {
        var pool = WarmPool(.init(target: 1))
        var start = starts(pool.fill())[0]
        var delays: [Duration] = []
        for number in 1...3 {
            _ = pool.startFinished(start, member("m\(number)"))
            let orders = pool.idleMemberDied(MemberName("m\(number)"), age: .milliseconds(20))
            #expect(orders.first == .remove(MemberName("m\(number)")))
            let (id, delay) = try #require(retry(orders))
            delays.append(delay)
            start = starts(pool.retryDue(id))[0]
        }
        #expect(delays == [.milliseconds(250), .milliseconds(500), .seconds(1)])
    }

    @Test func aSettledMemberThatDiesIsReplacedAtOnce() {
        var pool = WarmPool(.init(target: 1))
        _ = pool.startFinished(starts(pool.fill())[0], member("a"))
        let orders = pool.idleMemberDied(MemberName("a"), age: .seconds(60))
        #expect(orders.first == .remove(MemberName("a")))
        #expect(starts(orders).count == 1)
        #expect(pool.idleMemberDied(MemberName("a"), age: .seconds(60)).isEmpty)
    }

    @Test func resizingRemovesTheSurplusAndStartsWhatIsMissing() {
        var pool = WarmPool(.init(target: 0))
        let both = starts(pool.resize(to: 2))
        #expect(both.count == 2)
        for (start, name) in zip(both, ["a", "b"]) { #expect(pool.startFinished(start, member(name)).isEmpty) }
        #expect(pool.idleCount == 2)
        #expect(pool.resize(to: 1) == [.remove(MemberName("b"))])
    }

    @Test func drainingFailsWaitersAndRemovesWhatIsIdleAndWhatComesLate() {
        var pool = WarmPool(.init(target: 2, concurrentStarts: 2))
        let both = starts(pool.fill())
        _ = pool.startFinished(both[0], member("a"))
        #expect(pool.drain() == [.remove(MemberName("a"))])
        #expect(pool.startFinished(both[1], member("b")) == [.remove(MemberName("b"))])
        let (waiter, orders) = pool.wait()
        #expect(orders == [.fail(waiter, .unavailable, reason: "the runtime is shutting down")])
        #expect(pool.drain().isEmpty)
        #expect(pool.unreadyReason != nil)
    }

    @Test func aPoolThatNeverStartedAnythingIsNotReady() {
        var pool = WarmPool(.init(target: 1))
        let start = starts(pool.fill())[0]
        #expect(pool.unreadyReason == "no member has started yet")
        _ = pool.startFinished(start, member("a"))
        #expect(pool.unreadyReason == nil)
    }
}
