package import ComputeCore

/// Decides when members are started, who gets them and which are removed. Facts and requests go in, orders come
/// out; it has no clock, no lock and does no I/O.
///
/// Whoever waits for a member (a cold start) is a *waiter*. One rule covers refill and cold starts alike:
/// members are started only while `idle + starting < target + waiters`, so a burst never creates more than was
/// asked for, and the first member that is ready goes to the waiter who waited longest.
///
/// It can be copied because a `PoolSet` holds many in a dictionary; a copy is of no use to anybody.
///
/// ```
///            start fails                    failures reach the limit
/// healthy ──────────────► failing ────────────────────────────────► degraded
///    ▲                       │  one start at a time, each after a backoff  │
///    └───────────────────────┴──────────── a start succeeds ◄──────────────┘
///                       any ── drain ──► draining (final)
/// ```
package struct WarmPool: Sendable {
    package struct Settings: Sendable, Hashable {
        /// How many idle members to keep.
        package var target: Int
        /// Starting costs CPU: more at once than the machine has cores makes each of them slower, and the
        /// computes that run beside them too.
        package var concurrentStarts: Int
        /// Doubles with every failure in a row up to `maximumBackoff`.
        package var firstBackoff: Duration = .milliseconds(250)
        /// Short enough that a repaired cause is noticed while a person watches.
        package var maximumBackoff: Duration = .seconds(15)
        /// So many failures in a row are no accident: from then on who waits gets an honest error at once.
        package var failuresUntilDegraded = 5
        /// A member that dies idle before this age counts as a failed start: else a pool whose members start well
        /// and die at once would spin.
        package var settlingTime: Duration = .seconds(10)
        /// The pool is filled again when none was taken for so long: starts cost CPU, which the first commands of
        /// those that were just taken need more. Who waits for a member ends it.
        package var refillPause: Duration = .zero
        /// Takes that go on and on do not put it off longer than this.
        package var longestRefillPause: Duration = .seconds(2)

        package init(target: Int, concurrentStarts: Int = 2) {
            self.target = target
            self.concurrentStarts = max(1, concurrentStarts)
        }
    }

    /// One start that was ordered.
    package struct StartID: Hashable, Sendable { fileprivate let number: Int }
    /// One who waits for a member.
    package struct WaiterID: Hashable, Sendable { fileprivate let number: Int }
    /// One timer of a backoff or a pause; one that comes late names an old one and does nothing.
    package struct RetryID: Hashable, Sendable { fileprivate let number: Int }

    package enum Order: Hashable, Sendable {
        /// Start a member and report `startFinished` or `startFailed`. A start that fails cleans up after itself.
        case start(StartID)
        /// The waiter owns the member from now on.
        case give(Member, WaiterID)
        case fail(WaiterID, RuntimeError.Code, reason: String)
        case remove(MemberName)
        /// Report `retryDue` after this time.
        case scheduleRetry(RetryID, after: Duration)
    }

    package enum Health: Hashable, Sendable {
        /// Starts succeed. Becomes `failing`.
        case healthy
        /// The last start failed; waiters still wait. Becomes `healthy` or `degraded`.
        case failing(failures: Int, reason: String)
        /// Starts keep failing; waiters are refused. Becomes `healthy`.
        case degraded(failures: Int, reason: String)
        /// No more starts, ever.
        case draining
    }

    private struct Idle {
        var member: Member
        /// Failures in a row before this member started, in case it dies young.
        var failuresBefore: Int
    }

    package private(set) var health = Health.healthy
    private var settings: Settings
    private var idle: [Idle] = []
    private var starting: Set<StartID> = []
    private var waiters: [WaiterID] = []
    /// Set while a backoff runs: nothing is started.
    private var retry: RetryID?
    /// Set while refilling waits. The first timer is set anew by every take.
    private var refill: (pause: RetryID, atLatest: RetryID)?
    private var lastNumber = 0
    /// Until one start succeeded nobody knows whether a create would.
    private var hasStarted = false
    /// Nothing is started any more; what is idle stays.
    package private(set) var isRetired = false

    package init(_ settings: Settings) { self.settings = settings }

    package var target: Int { settings.target }
    package var idleCount: Int { idle.count }
    package var startingCount: Int { starting.count }
    package var waiterCount: Int { waiters.count }
    package func isIdle(_ name: MemberName) -> Bool { idle.contains { $0.member.name == name } }
    package var idleMembers: [Member] { idle.map(\.member) }

    /// Why a create would fail now; nil when it would not.
    package var unreadyReason: String? {
        switch health {
        case .draining: "the runtime is shutting down"
        case .healthy: hasStarted || settings.target == 0 ? nil : "no member has started yet"
        case .failing(_, let reason), .degraded(_, let reason): idle.isEmpty ? "members do not start: \(reason)" : nil
        }
    }

    /// Whether members of it start, as far as anybody knows.
    package var isProven: Bool { hasStarted && health == .healthy }

    /// Why the last start failed; nil when it did not.
    package var failureReason: String? {
        switch health {
        case .healthy, .draining: nil
        case .failing(_, let reason), .degraded(_, let reason): reason
        }
    }

    // MARK: Requests

    /// Called once at the start; later facts keep the pool full.
    package mutating func fill() -> [Order] { startsNeeded() }

    /// The longest idle first: it has settled.
    package mutating func take() -> (Member?, [Order]) {
        guard !idle.isEmpty else { return (nil, []) }
        let member = idle.removeFirst().member
        return (member, postponeRefill() + startsNeeded())
    }

    /// Asks for a member; exactly one `give` or `fail` names the waiter, unless it gives up first.
    package mutating func wait() -> (WaiterID, [Order]) {
        let waiter = WaiterID(number: nextNumber())
        switch health {
        case .draining:
            return (waiter, [.fail(waiter, .unavailable, reason: "the runtime is shutting down")])
        case .degraded(_, let reason) where idle.isEmpty && retry != nil:
            return (waiter, [.fail(waiter, .unavailable, reason: reason)])
        case .healthy, .failing, .degraded:
            break
        }
        if !idle.isEmpty {
            let member = idle.removeFirst().member
            return (waiter, [.give(member, waiter)] + startsNeeded())
        }
        waiters.append(waiter)
        return (waiter, startsNeeded())
    }

    /// Its deadline passed or its caller went away. False when it has its answer already: then a `give` is on its
    /// way, and the member in it must not be lost.
    package mutating func giveUp(_ waiter: WaiterID) -> Bool {
        guard let index = waiters.firstIndex(of: waiter) else { return false }
        waiters.remove(at: index)
        return true
    }

    package mutating func resize(to target: Int) -> [Order] {
        settings.target = target
        var orders: [Order] = []
        while idle.count > target { orders.append(.remove(idle.removeLast().member.name)) }
        return orders + startsNeeded()
    }

    /// Something else is wanted instead of its members: those that are idle stay until they are taken or shed.
    package mutating func retire() {
        isRetired = true
        starting = []
        (retry, refill) = (nil, nil)
    }

    /// Its members are wanted, again or still.
    package mutating func unretire(target: Int) -> [Order] {
        isRetired = false
        return resize(to: target)
    }

    /// One idle member less, the last that came; nothing replaces it.
    package mutating func shed() -> [Order] {
        guard isRetired, !idle.isEmpty else { return [] }
        return [.remove(idle.removeLast().member.name)]
    }

    /// One idle member less, the last that came: somebody needs its room more. Another one is started after a backoff, as
    /// if a start had found none.
    package mutating func giveRoom(reason: String) -> [Order] {
        guard !isRetired else { return shed() }
        guard !idle.isEmpty else { return [] }
        let name = idle.removeLast().member.name
        return [.remove(name)] + failed(after: nil, reason: reason)
    }

    /// What failed is wanted no more. When more is wanted again it is tried at once, and has to prove itself anew.
    package mutating func forgive() {
        switch health {
        case .draining, .healthy: return
        case .failing, .degraded: (health, hasStarted, retry) = (.healthy, false, nil)
        }
    }

    /// A start that was ordered and has not begun is not wanted any more: there is enough, or a backoff runs, after which
    /// it is ordered again.
    /// - Returns: false when it is wanted.
    package mutating func withdraw(_ start: StartID) -> Bool {
        guard retry != nil || idle.count + starting.count > settings.target + waiters.count else { return false }
        return starting.remove(start) != nil
    }

    /// An idle member is removed from outside.
    package mutating func forget(_ name: MemberName) -> [Order] {
        guard let index = idle.firstIndex(where: { $0.member.name == name }) else { return [] }
        idle.remove(at: index)
        return startsNeeded()
    }

    /// Ends the pool: waiters fail, idle members are removed, and so is every member that is ready later.
    package mutating func drain() -> [Order] {
        health = .draining
        retry = nil
        let orders =
            waiters.map { Order.fail($0, .unavailable, reason: "the runtime is shutting down") }
            + idle.map { .remove($0.member.name) }
        waiters = []
        idle = []
        return orders
    }

    // MARK: Facts

    package mutating func startFinished(_ start: StartID, _ member: Member) -> [Order] {
        guard starting.remove(start) != nil else { return [.remove(member.name)] }
        let failures: Int
        switch health {
        case .draining: return [.remove(member.name)]
        case .healthy: failures = 0
        case .failing(let count, _), .degraded(let count, _): failures = count
        }
        health = .healthy
        hasStarted = true
        retry = nil
        return settle(Idle(member: member, failuresBefore: failures)) + startsNeeded()
    }

    package mutating func startFailed(_ start: StartID, reason: String) -> [Order] {
        guard starting.remove(start) != nil else { return [] }
        return failed(after: nil, reason: reason)
    }

    /// An idle member's process ended by itself `age` after its start.
    package mutating func idleMemberDied(_ name: MemberName, age: Duration) -> [Order] {
        guard let index = idle.firstIndex(where: { $0.member.name == name }) else { return [] }
        let dead = idle.remove(at: index)
        let remove = Order.remove(name)
        guard age < settings.settlingTime else { return [remove] + startsNeeded() }
        let reason = "a member died \(age.wholeMilliseconds) ms after its start"
        return [remove] + failed(after: dead.failuresBefore, reason: reason)
    }

    package mutating func retryDue(_ id: RetryID) -> [Order] {
        if retry == id {
            retry = nil
        } else if let refill, refill.pause == id || refill.atLatest == id {
            self.refill = nil
        } else {
            return []
        }
        return startsNeeded()
    }

    // MARK: Inside

    /// - Parameter before: failures in a row before this one, where that is not what `health` says.
    private mutating func failed(after before: Int?, reason: String) -> [Order] {
        let known: Int
        switch health {
        case .draining: return []
        case .healthy: known = 0
        case .failing(let count, _), .degraded(let count, _): known = count
        }
        // Starts that were on their way together fail together, of one cause: they count once.
        let failures = retry == nil ? max(known, before ?? 0) + 1 : max(known, 1)
        var orders: [Order] = []
        if failures >= settings.failuresUntilDegraded {
            health = .degraded(failures: failures, reason: reason)
            orders += waiters.map { .fail($0, .unavailable, reason: reason) }
            waiters = []
        } else {
            health = .failing(failures: failures, reason: reason)
        }
        guard retry == nil else { return orders }
        let id = RetryID(number: nextNumber())
        retry = id
        return orders + [.scheduleRetry(id, after: backoff(failures))]
    }

    private func backoff(_ failures: Int) -> Duration {
        // 2^16 first backoffs are hours: far above any maximum, far below an overflow.
        min(settings.maximumBackoff, settings.firstBackoff * (1 << min(failures - 1, 16)))
    }

    private mutating func settle(_ ready: Idle) -> [Order] {
        switch health {
        case .draining: return [.remove(ready.member.name)]
        case .healthy, .failing, .degraded: break
        }
        if !waiters.isEmpty { return [.give(ready.member, waiters.removeFirst())] }
        guard idle.count < settings.target else { return [.remove(ready.member.name)] }
        idle.append(ready)
        return []
    }

    private mutating func postponeRefill() -> [Order] {
        guard settings.refillPause > .zero, health == .healthy else { return [] }
        let pause = RetryID(number: nextNumber())
        let order = Order.scheduleRetry(pause, after: settings.refillPause)
        if let refill {
            self.refill = (pause, refill.atLatest)
            return [order]
        }
        let atLatest = RetryID(number: nextNumber())
        refill = (pause, atLatest)
        return [order, .scheduleRetry(atLatest, after: settings.longestRefillPause)]
    }

    private mutating func startsNeeded() -> [Order] {
        guard !isRetired, retry == nil, refill == nil || !waiters.isEmpty else { return [] }
        let bound: Int
        switch health {
        case .draining: return []
        case .healthy: bound = settings.concurrentStarts
        case .failing, .degraded: bound = 1
        }
        var orders: [Order] = []
        while starting.count < bound, idle.count + starting.count < settings.target + waiters.count {
            let start = StartID(number: nextNumber())
            starting.insert(start)
            orders.append(.start(start))
        }
        return orders
    }

    private mutating func nextNumber() -> Int {
        lastNumber += 1
        return lastNumber
    }
}
