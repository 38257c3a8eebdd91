package import ComputeCore

/// The runtime's own pool and those that were ordered for groups, which share one machine. Each is a `WarmPool`; this
/// decides whose turn it is to start a member, and what becomes of members that are not ordered any more. Facts and
/// requests go in, orders come out; it has no clock, no lock and does no I/O.
///
/// ```
///   ordered ──▶ current ── another order of the same pool ──▶ retired ──▶ gone
///                 ▲  └────────── not ordered any more ──────────┼──────────▲
///                 └────────────── the same order again ─────────┘
/// ```
///
/// A *retired* pool starts nothing and keeps its idle members until those that replace them are there, one for one, or
/// there is no room for both. They are given only to who asks for exactly that order.
///
/// **Turns.** Who waits for a member of the own pool comes first; otherwise the groups go in turn, one start each, however
/// many pools they have; the own pool is like one. Of a group's pools those whose last start failed come after the others.
/// Pools whose members have not started yet, or do not start, leave one place to the others: starts that hang hold up
/// themselves, and what else is not known to start for one turn of each group.
///
/// **Room.** What waits for a group has none for itself: where somebody who shall have a compute finds none, an idle member
/// goes of the group that has the most.
package struct PoolSet: ~Copyable, Sendable {
    package typealias WaiterID = WarmPool.WaiterID

    /// One start of one of the pools.
    package struct StartID: Hashable, Sendable {
        fileprivate let pool: Int
        fileprivate let start: WarmPool.StartID
    }
    package struct RetryID: Hashable, Sendable {
        fileprivate let pool: Int
        fileprivate let retry: WarmPool.RetryID
    }

    package enum Order: Hashable, Sendable {
        /// Start such a member and report `startFinished` or `startFailed`. A start that fails cleans up after itself.
        case start(StartID, MemberOrder)
        case give(Member, WaiterID)
        case fail(WaiterID, RuntimeError.Code, reason: String)
        case remove(MemberName)
        case scheduleRetry(RetryID, after: Duration)
    }

    private struct Entry {
        /// nil: the own pool.
        let id: PoolID?
        let group: GroupID?
        let order: MemberOrder
        var pool: WarmPool
        /// Starts whose turn has not come, the oldest first.
        var queue: [WarmPool.StartID] = []
        var failure: RuntimeError?
        var startTime: Duration?
        /// When it was served last.
        var turn = 0
    }

    private static let own = 0
    /// Of the others: who waits for nothing need not ask a registry four times a minute, for ever, for what it does not
    /// have. A template that was repaired is another order, which is tried at once.
    private static let longestBackoff: Duration = .seconds(300)
    private let settings: WarmPool.Settings
    private var entries: [Int: Entry]
    /// All of each that is ordered, the oldest first.
    private var numbers: [PoolID: [Int]] = [:]
    /// The current one of each that is ordered.
    private var current: [PoolID: Int] = [:]
    private var underWay: Set<StartID> = []
    /// When each group was served last; nil is the own pool.
    private var turns: [GroupID?: Int] = [nil: 0]
    private var lastTurn = 0
    private var lastNumber = own
    private var isDrained = false

    /// - Parameter settings: of the own pool; of the others what is not its target.
    package init(_ settings: WarmPool.Settings) {
        self.settings = settings
        entries = [Self.own: Entry(id: nil, group: nil, order: .fromPool, pool: WarmPool(settings))]
    }

    // MARK: - The own pool

    package var target: Int { entries[Self.own]?.pool.target ?? 0 }
    package var idleCount: Int { entries[Self.own]?.pool.idleCount ?? 0 }
    package var unreadyReason: String? { entries[Self.own]?.pool.unreadyReason }

    package mutating func fill() -> [Order] { change(Self.own) { $0.fill() } }

    package mutating func take() -> (Member?, [Order]) { take(from: Self.own) }

    package mutating func wait() -> (WaiterID, [Order]) {
        var waiter: WaiterID?
        let orders = change(Self.own) { pool in
            let (id, orders) = pool.wait()
            waiter = id
            return orders
        }
        guard let waiter else { preconditionFailure("the own pool is always there") }
        return (waiter, orders)
    }

    package mutating func giveUp(_ waiter: WaiterID) -> Bool { entries[Self.own]?.pool.giveUp(waiter) ?? false }

    // MARK: - The others

    /// The pools that shall be, all of them. What is so already changes nothing.
    package mutating func set(_ orders: [PoolOrder]) -> [Order] {
        guard !isDrained else { return [] }
        var done: [Order] = []
        let wanted = Dictionary(orders.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
        for id in current.keys.filter({ wanted[$0] == nil }).sorted() {
            for number in numbers[id, default: []] { done += drop(number) }
            current[id] = nil
        }
        for order in wanted.values.sorted(by: { $0.id < $1.id }) { done += set(order) }
        return done + begin()
    }

    /// The longest idle first. nil when none of exactly that order is idle.
    package mutating func take(of id: PoolID, _ order: MemberOrder) -> (Member?, [Order]) {
        for number in numbers[id, default: []] where entries[number]?.order == order {
            let (member, orders) = take(from: number)
            if member != nil { return (member, orders + dropEmpty(number)) }
        }
        return (nil, [])
    }

    package var statuses: [PoolID: PoolStatus] {
        current.compactMapValues { number in
            guard let entry = entries[number] else { return nil }
            return PoolStatus(
                target: entry.pool.target, idle: entry.pool.idleCount, starting: entry.pool.startingCount,
                failure: entry.failure, startTime: entry.startTime)
        }
    }

    // MARK: - All of them

    package var idleNames: Set<MemberName> { Set(entries.values.flatMap { $0.pool.idleMembers.map(\.name) }) }
    package func isIdle(_ name: MemberName) -> Bool { entries.values.contains { $0.pool.isIdle(name) } }

    /// Whether somebody waits for what that start makes.
    package func isWaitedFor(_ start: StartID) -> Bool { (entries[start.pool]?.pool.waiterCount ?? 0) > 0 }

    /// An idle member is removed from outside.
    package mutating func forget(_ name: MemberName) -> [Order] {
        guard let number = number(holding: name) else { return [] }
        return change(number) { $0.forget(name) } + dropEmpty(number)
    }

    /// Somebody found no room: an idle member goes, of the largest pool of the group that has the most.
    /// - Returns: nil when none of a group is idle.
    package mutating func makeRoom() -> (MemberName?, [Order]) {
        var counts: [GroupID: Int] = [:]
        for entry in entries.values { if let group = entry.group { counts[group, default: 0] += entry.pool.idleCount } }
        func size(_ number: Int) -> (Int, Int, Int) {
            (entries[number]?.group.flatMap { counts[$0] } ?? 0, entries[number]?.pool.idleCount ?? 0, number)
        }
        let largest = entries.filter { $0.value.group != nil && $0.value.pool.idleCount > 0 }.keys
            .max { size($0) < size($1) }
        guard let largest else { return (nil, []) }
        let error = RuntimeError(.outOfCapacity, "its members make room for computes")
        entries[largest]?.failure = error
        let orders = change(largest) { $0.giveRoom(reason: error.message) } + dropEmpty(largest)
        let name = orders.lazy.compactMap { if case .remove(let name) = $0 { name } else { nil } }.first
        return (name, orders)
    }

    /// Ends all pools: waiters fail, idle members are removed, and so is every member that is ready later.
    package mutating func drain() -> [Order] {
        isDrained = true
        current = [:]
        var orders: [Order] = []
        for number in entries.keys.sorted() where number != Self.own { orders += drop(number) }
        entries[Self.own]?.queue = []
        return orders + change(Self.own) { $0.drain() }
    }

    /// - Parameter time: that the start took.
    package mutating func startFinished(_ start: StartID, _ member: Member, after time: Duration) -> [Order] {
        guard underWay.remove(start) != nil, entries[start.pool] != nil else {
            return [.remove(member.name)] + begin()
        }
        entries[start.pool]?.failure = nil
        // One that was slow by accident moves it by a quarter.
        let known = entries[start.pool]?.startTime ?? time
        entries[start.pool]?.startTime = (known * 3 + time) / 4
        let orders = change(start.pool) { $0.startFinished(start.start, member) }
        return orders + replace(start.pool) + begin()
    }

    package mutating func startFailed(_ start: StartID, _ error: RuntimeError) -> [Order] {
        guard underWay.remove(start) != nil, entries[start.pool] != nil else { return begin() }
        entries[start.pool]?.failure = error
        var orders = change(start.pool) { $0.startFailed(start.start, reason: error.message) }
        guard error.code == .outOfCapacity else { return orders + begin() }
        if let id = entries[start.pool]?.id, current[id] == start.pool {
            // There is no room for the old ones and the new ones.
            orders += shed(to: max(0, retiredCount(of: id) - 1), of: id)
        } else if start.pool == Self.own, isWaitedFor(start) {
            orders += makeRoom().1
        }
        return orders + begin()
    }

    package mutating func idleMemberDied(_ name: MemberName, age: Duration) -> [Order] {
        guard let number = number(holding: name) else { return [] }
        let orders = change(number) { $0.idleMemberDied(name, age: age) }
        if let reason = entries[number]?.pool.failureReason {
            entries[number]?.failure = RuntimeError(.unavailable, reason)
        }
        return orders + dropEmpty(number)
    }

    package mutating func retryDue(_ retry: RetryID) -> [Order] { change(retry.pool) { $0.retryDue(retry.retry) } }

    // MARK: - Inside

    private mutating func set(_ order: PoolOrder) -> [Order] {
        let old = current[order.id]
        if let old, entries[old]?.order == order.members {
            return change(old) { $0.target == order.target ? [] : $0.resize(to: order.target) } + replace(old)
        }
        // What is left of the same order goes on.
        let number = numbers[order.id, default: []].first { entries[$0]?.order == order.members } ?? add(order)
        current[order.id] = number
        var orders: [Order] = []
        if let old {
            entries[old]?.queue = []
            entries[old]?.pool.retire()
            orders += dropEmpty(old)
        }
        orders += change(number) { $0.unretire(target: order.target) }
        return orders + replace(number)
    }

    private mutating func add(_ order: PoolOrder) -> Int {
        lastNumber += 1
        var settings = settings
        settings.target = order.target
        settings.maximumBackoff = Self.longestBackoff
        // Behind those who wait already, or whoever deletes and makes pools would always be the next.
        if turns[order.group] == nil { turns[order.group] = lastTurn - 1 }
        numbers[order.id, default: []].append(lastNumber)
        entries[lastNumber] = Entry(
            id: order.id, group: order.group, order: order.members, pool: WarmPool(settings))
        return lastNumber
    }

    private func number(holding name: MemberName) -> Int? { entries.first { $0.value.pool.isIdle(name) }?.key }

    private mutating func take(from number: Int) -> (Member?, [Order]) {
        var member: Member?
        let orders = change(number) { pool in
            let (taken, orders) = pool.take()
            member = taken
            return orders
        }
        return (member, orders)
    }

    /// One step of a pool. Its starts wait for their turn.
    private mutating func change(_ number: Int, _ step: (inout WarmPool) -> [WarmPool.Order]) -> [Order] {
        guard entries[number] != nil else { return [] }
        var orders: [Order] = []
        for order in step(&entries[number]!.pool) {
            switch order {
            case .start(let start): entries[number]?.queue.append(start)
            case .give(let member, let waiter): orders.append(.give(member, waiter))
            case .fail(let waiter, let code, let reason): orders.append(.fail(waiter, code, reason: reason))
            case .remove(let name): orders.append(.remove(name))
            case .scheduleRetry(let retry, let delay):
                orders.append(.scheduleRetry(RetryID(pool: number, retry: retry), after: delay))
            }
        }
        forgive(number)
        return orders + begin()
    }

    /// A pool that has all that it shall have lacks nothing.
    private mutating func forgive(_ number: Int) {
        guard let entry = entries[number], entry.id != nil, entry.pool.idleCount >= entry.pool.target else { return }
        entries[number]?.failure = nil
        entries[number]?.pool.forgive()
    }

    /// Starts whose turn it is.
    private mutating func begin() -> [Order] {
        var orders: [Order] = []
        while underWay.count < settings.concurrentStarts, let number = next(), let entry = entries[number] {
            entries[number]?.queue.removeFirst()
            // Fewer may be wanted by now.
            if entries[number]?.pool.withdraw(entry.queue[0]) == true { continue }
            let start = StartID(pool: number, start: entry.queue[0])
            // In twos, so that a group that is new comes between who was served last and who was before.
            lastTurn += 2
            entries[number]?.turn = lastTurn
            turns[entry.group] = lastTurn
            underWay.insert(start)
            orders.append(.start(start, entry.order))
        }
        return orders
    }

    private func next() -> Int? {
        if let own = entries[Self.own], !own.queue.isEmpty, own.pool.waiterCount > 0 { return Self.own }
        func isUnproven(_ number: Int) -> Bool { number != Self.own && entries[number]?.pool.isProven != true }
        let hasRoomForUnproven =
            underWay.count { isUnproven($0.pool) } < max(1, settings.concurrentStarts - 1)
        let ready = entries.filter { !$0.value.queue.isEmpty && (hasRoomForUnproven || !isUnproven($0.key)) }
        return ready.min { place(of: $0) < place(of: $1) }?.key
    }

    /// Where it stands in the line of all: by its group, and in its group.
    private func place(of one: (key: Int, value: Entry)) -> (Int, Int, Int, Int) {
        let hasFailed = one.value.pool.failureReason != nil
        return (turns[one.value.group] ?? 0, hasFailed ? 1 : 0, one.value.turn, one.key)
    }

    /// Old ones and new ones together are no more than are wanted.
    private mutating func replace(_ number: Int) -> [Order] {
        guard let entry = entries[number], let id = entry.id, current[id] == number else { return [] }
        return shed(to: max(0, entry.pool.target - entry.pool.idleCount), of: id)
    }

    /// So many retired ones stay.
    private mutating func shed(to count: Int, of id: PoolID) -> [Order] {
        var orders: [Order] = []
        for number in numbers[id, default: []] where number != current[id] {
            while retiredCount(of: id) > count, entries[number]?.pool.idleCount ?? 0 > 0 {
                orders += change(number) { $0.shed() }
            }
            orders += dropEmpty(number)
        }
        return orders
    }

    private func retiredCount(of id: PoolID) -> Int {
        numbers[id, default: []].reduce(0) { $0 + ($1 == current[id] ? 0 : entries[$1]?.pool.idleCount ?? 0) }
    }

    private mutating func dropEmpty(_ number: Int) -> [Order] {
        guard let entry = entries[number], entry.pool.isRetired, entry.pool.idleCount == 0 else { return [] }
        return drop(number)
    }

    /// Starts of it that are under way are removed when they are ready.
    private mutating func drop(_ number: Int) -> [Order] {
        guard var entry = entries.removeValue(forKey: number) else { return [] }
        if let id = entry.id {
            numbers[id]?.removeAll { $0 == number }
            if numbers[id]?.isEmpty == true { numbers[id] = nil }
        }
        if !entries.values.contains(where: { $0.group == entry.group }) { turns[entry.group] = nil }
        return entry.pool.drain().compactMap { if case .remove(let name) = $0 { .remove(name) } else { nil } }
    }
}
