import ComputeCore
import ComputeRuntime
import Testing

/// Random walks over the pool: whatever happens in whatever order, the promises hold after every step.
@Suite struct WarmPoolWalkTests {
    @Test func promisesHoldOnRandomWalks() {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("WarmPoolWalkTests seed \(seed)")
        var random = SplitMix(state: seed)
        for walk in 0..<200 {
            var settings = WarmPool.Settings(target: Int.random(in: 0...5, using: &random), concurrentStarts: 2)
            settings.refillPause = Bool.random(using: &random) ? .milliseconds(250) : .zero
            var world = World(settings: settings)
            for step in 0..<300 {
                world.step(using: &random)
                if let broken = world.brokenPromise {
                    Issue.record("seed \(seed), walk \(walk), step \(step): \(broken)")
                    return
                }
            }
            world.end()
            if let broken = world.brokenPromise { Issue.record("seed \(seed), walk \(walk), at the end: \(broken)") }
        }
    }
}

/// What surrounds the pool, with its own books to compare against.
private struct World: ~Copyable {
    var pool: WarmPool
    let concurrentStarts: Int
    var open: [WarmPool.StartID] = []
    var timers: [WarmPool.RetryID] = []
    var waiting: Set<WarmPool.WaiterID> = []
    var answered: Set<WarmPool.WaiterID> = []
    /// Alive and not given away.
    var pooled: Set<MemberName> = []
    var owned: Set<MemberName> = []
    var names = 0
    var brokenPromise: String?

    init(settings: WarmPool.Settings) {
        pool = WarmPool(settings)
        concurrentStarts = settings.concurrentStarts
        obey(pool.fill())
    }

    mutating func step(using random: inout SplitMix) {
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<30:
            guard let start = open.removeRandom(using: &random) else { return }
            let member = newMember()
            pooled.insert(member.name)
            obey(pool.startFinished(start, member))
        case 30..<40:
            guard let start = open.removeRandom(using: &random) else { return }
            obey(pool.startFailed(start, reason: "failure"))
        case 40..<55:
            let (member, orders) = pool.take()
            if let member { own(member.name) }
            obey(orders)
        case 55..<68:
            let (waiter, orders) = pool.wait()
            waiting.insert(waiter)
            obey(orders)
        case 68..<74:
            guard let waiter = waiting.randomElement(using: &random) else { return }
            if pool.giveUp(waiter) { waiting.remove(waiter) } else { broken("a waiter without an answer is unknown") }
        case 74..<80:
            guard let victim = pool.idleMembers.randomElement(using: &random) else { return }
            obey(pool.idleMemberDied(victim.name, age: .seconds(Int.random(in: 0...20, using: &random))))
        case 80..<92:
            // Sometimes late, sometimes twice.
            guard let timer = timers.randomElement(using: &random) else { return }
            obey(pool.retryDue(timer))
        case 92..<96:
            obey(pool.resize(to: Int.random(in: 0...5, using: &random)))
        default:
            guard let victim = pool.idleMembers.randomElement(using: &random) else { return }
            pooled.remove(victim.name)
            obey(pool.forget(victim.name))
        }
        checkCounts()
    }

    /// Whatever is still under way when the pool drains must end up removed or owned, never idle.
    mutating func end() {
        obey(pool.drain())
        for start in open {
            let member = newMember()
            pooled.insert(member.name)
            obey(pool.startFinished(start, member))
        }
        if !waiting.isEmpty { broken("\(waiting.count) waiters were never answered") }
        if !pooled.isEmpty { broken("\(pooled.count) members are left after the drain") }
    }

    private mutating func obey(_ orders: [WarmPool.Order]) {
        for order in orders {
            switch order {
            case .start(let start): open.append(start)
            case .give(let member, let waiter):
                answer(waiter)
                own(member.name)
            case .fail(let waiter, _, _): answer(waiter)
            case .remove(let name):
                if pooled.remove(name) == nil { broken("\(name) is removed twice, or though somebody owns it") }
            case .scheduleRetry(let id, let after):
                if after <= .zero || after > .seconds(15) { broken("a backoff of \(after)") }
                timers.append(id)
            }
        }
        if orders.contains(where: { if case .start = $0 { true } else { false } }),
            pool.idleCount + pool.startingCount > pool.target + pool.waiterCount
        {
            broken("\(pool.idleCount) idle and \(pool.startingCount) starting for \(pool.target) + \(pool.waiterCount)")
        }
    }

    private mutating func checkCounts() {
        if pool.startingCount > concurrentStarts { broken("\(pool.startingCount) starts at once") }
        if pool.startingCount != open.count {
            broken("it counts \(pool.startingCount) starts, there are \(open.count)")
        }
        if pool.waiterCount != waiting.count { broken("it counts \(pool.waiterCount) of \(waiting.count) waiters") }
        if pool.idleCount > pool.target { broken("\(pool.idleCount) idle for a target of \(pool.target)") }
        if Set(pool.idleMembers.map(\.name)) != pooled { broken("idle members are not those that nobody has") }
        if pool.idleCount > 0, pool.waiterCount > 0 { broken("somebody waits beside an idle member") }
    }

    private mutating func own(_ name: MemberName) {
        if pooled.remove(name) == nil || !owned.insert(name).inserted { broken("\(name) was given twice") }
    }

    private mutating func answer(_ waiter: WarmPool.WaiterID) {
        // `wait` answers at once before its caller could note the waiter.
        waiting.remove(waiter)
        if !answered.insert(waiter).inserted { broken("a waiter was answered twice") }
    }

    private mutating func broken(_ promise: String) { brokenPromise = brokenPromise ?? promise }

    private mutating func newMember() -> Member {
        names += 1
        return WarmPoolTests.member("m\(names)")
    }
}

/// A small generator whose whole state is its seed, so that a walk can be walked again.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

extension Array {
    fileprivate mutating func removeRandom(using random: inout SplitMix) -> Element? {
        isEmpty ? nil : remove(at: Int.random(in: 0..<count, using: &random))
    }
}
