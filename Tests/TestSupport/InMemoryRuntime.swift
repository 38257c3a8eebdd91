package import ComputeCore
package import ComputeRuntime
import Synchronization

/// A `ComputeRuntime` whose members exist in memory only and start at once.
///
/// The pool is full from the beginning; it is refilled only while `run()` runs, so that a test without it can
/// count what is left.
package final class InMemoryRuntime: ComputeRuntime {
    /// What goes wrong; change it at any time.
    package struct Behaviour: Sendable {
        /// Every start fails with this.
        package var startFailure: RuntimeError?
        /// How long a cold start takes.
        package var startDelay: Duration = .zero
        package var removeFailure: RuntimeError?
        package var placesFailure: RuntimeError?
        package var volumeFailure: RuntimeError?
        package var freezeFailure: RuntimeError?
        package var networkFailure: RuntimeError?
        package var keepFailure: RuntimeError?
        /// Who passes before a network is set, and before a place is removed.
        package var beforeNetwork: @Sendable (NetworkPolicy) async -> Void = { _ in }
        package var beforeRemoval: @Sendable () async -> Void = {}
        package var unreadyReason: String?
        /// What it says of itself beside what is true of every double.
        package var describe: @Sendable (inout RuntimeDescription) -> Void = { _ in }

        package init() {}
    }

    package let abilities: RuntimeAbilities
    package let poolSize: Int
    private let clock: any WallClock
    let state: Mutex<State>
    private let wakes: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation

    struct State {
        var behaviour = Behaviour()
        var places: [MemberName: Place] = [:]
        var idle: [MemberName] = []
        var frozen: Set<MemberName> = []
        var networks: [MemberName: NetworkPolicy] = [:]
        var removed: [MemberName] = []
        var coldStarts = 0
        var orders: [MemberOrder] = []
        /// As they were set last, and what waits in each, by the order that it was made to.
        var pools: [PoolID: PoolOrder] = [:]
        var pooled: [PoolID: [(name: MemberName, order: MemberOrder)]] = [:]
        var volumes: [FilesystemID: Int64] = [:]
        var mounts: [MemberName: [VolumeMount]] = [:]
        var kept: Set<ComputeID> = []
        /// Who has, or had, which kept disk.
        var disks: [MemberName: ComputeID] = [:]
        var isShutDown = false
    }

    package init(
        poolSize: Int = 0, abilities: RuntimeAbilities = [], clock: any WallClock = SystemWallClock()
    ) {
        self.poolSize = poolSize
        self.abilities = abilities
        self.clock = clock
        (wakes, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        state = Mutex(State())
        fill()
    }

    // MARK: What tests do to it

    package func set(_ change: (inout Behaviour) -> Void) {
        state.withLock { change(&$0.behaviour) }
        wake.yield()
    }

    /// The place's process ends by itself.
    package func kill(_ name: MemberName) {
        state.withLock { state in
            state.places[name]?.isAlive = false
            guard state.places[name]?.isIdle == true else { return }
            state.forgetIdle(name)
            state.places[name] = nil
        }
        wake.yield()
    }

    /// A place that an earlier process made.
    package func addLeftover(isAlive: Bool = true) -> Member {
        let place = newPlace(.leftover)
        state.withLock { $0.places[place.member.name] = Place(place, isAlive: isAlive) }
        return place.member
    }

    package var removedNames: [MemberName] { state.withLock { $0.removed } }
    package var coldStarts: Int { state.withLock { $0.coldStarts } }
    /// What was ordered of the cold starts.
    package var orders: [MemberOrder] { state.withLock { $0.orders } }
    /// The size of each, in MiB.
    package var volumeSizes: [FilesystemID: Int64] { state.withLock { $0.volumes } }
    package func isFrozen(_ name: MemberName) -> Bool { state.withLock { $0.frozen.contains(name) } }
    package func network(of name: MemberName) -> NetworkPolicy { state.withLock { $0.networks[name] ?? .open } }
    package func isAlive(_ name: MemberName) -> Bool { state.withLock { $0.places[name]?.isAlive ?? false } }

    // MARK: The port

    package var idleCount: Int { state.withLock { $0.idle.count } }

    package func run() async throws {
        func fillAll() {
            fill()
            fillPools()
        }
        fillAll()
        for await _ in wakes { fillAll() }
    }

    package func takeIdleMember() -> Member? {
        let now = clock.now()
        let member = state.withLock { state -> Member? in
            guard !state.idle.isEmpty else { return nil }
            let name = state.idle.removeFirst()
            state.places[name]?.standing = .taken(at: now)
            return state.places[name]?.member
        }
        wake.yield()
        return member
    }

    package func setPools(_ orders: [PoolOrder]) {
        state.withLock { state in
            state.pools = Dictionary(orders.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
            for id in state.pooled.keys { state.trim(id) }
        }
        wake.yield()
    }

    package func takeIdleMember(of pool: PoolID, _ order: MemberOrder) -> Member? {
        let now = clock.now()
        let member = state.withLock { state -> Member? in
            guard let name = state.pooled[pool]?.first(where: { $0.order == order })?.name else { return nil }
            state.forgetIdle(name)
            state.places[name]?.standing = .taken(at: now)
            return state.places[name]?.member
        }
        wake.yield()
        return member
    }

    package var pools: [PoolID: PoolStatus] {
        state.withLock { state in
            state.pools.mapValues { order in
                let idle = state.pooled[order.id]?.count { $0.order == order.members } ?? 0
                let failure = refusal(of: order.members) ?? state.behaviour.startFailure
                return PoolStatus(
                    target: order.target, idle: idle, failure: idle < order.target ? failure : nil)
            }
        }
    }

    private func refusal(of order: MemberOrder) -> RuntimeError? {
        guard order.resources == nil || abilities.contains(.resources),
            order.image == nil || abilities.contains(.images),
            order.mounts.isEmpty || abilities.contains(.filesystems),
            order.disk == nil || abilities.contains(.keepDisk)
        else { return RuntimeError(.unsupported, "this runtime makes nothing to order") }
        return nil
    }

    package func describe() -> RuntimeDescription {
        var description = RuntimeDescription(
            isolation: "memory", abilities: abilities, poolTarget: poolSize, poolIdle: idleCount)
        state.withLock(\.behaviour.describe)(&description)
        return description
    }

    package func startMember(
        _ order: MemberOrder, deadline: ContinuousClock.Instant
    ) async throws(RuntimeError) -> Member {
        if let refusal = refusal(of: order) { throw refusal }
        if order.isEmpty, let member = takeIdleMember() { return member }
        let behaviour = state.withLock { state in
            state.coldStarts += 1
            state.orders.append(order)
            return state.behaviour
        }
        let ready = ContinuousClock.now + behaviour.startDelay
        do {
            if behaviour.startDelay > .zero { try await Task.sleep(until: min(ready, deadline)) }
        } catch {
            throw RuntimeError(.deadlineExceeded, "the start was cancelled", cause: error)
        }
        guard ready <= deadline, ContinuousClock.now <= deadline else {
            throw RuntimeError(.deadlineExceeded, "no member was ready in time")
        }
        if let failure = behaviour.startFailure { throw failure }
        var place = newPlace(.taken(at: clock.now()))
        place.disk = order.disk
        let new = place
        while true {
            let refusal = state.withLock { state -> RuntimeError? in
                if state.isShutDown { return RuntimeError(.unavailable, "the runtime is shut down") }
                if let disk = order.disk {
                    guard state.kept.contains(disk) else { return RuntimeError(.unavailable, "there is no such disk") }
                    guard !state.disks.values.contains(disk) else {
                        return RuntimeError(.deadlineExceeded, "another member has the disk")
                    }
                    state.disks[new.member.name] = disk
                }
                state.places[new.member.name] = new
                state.mounts[new.member.name] = order.mounts
                return nil
            }
            guard let refusal else { return new.member }
            guard refusal.code == .deadlineExceeded, ContinuousClock.now < deadline else { throw refusal }
            do { try await Task.sleep(for: .milliseconds(1)) } catch { throw refusal }
        }
    }

    package func places() async throws(RuntimeError) -> [Place] {
        let (failure, places) = state.withLock { state in
            let places = state.places.values.map { place in
                var place = place
                place.isFrozen = state.frozen.contains(place.member.name)
                place.network = state.networks[place.member.name] ?? .open
                return place
            }
            return (state.behaviour.placesFailure, places)
        }
        if let failure { throw failure }
        return places.sorted { $0.member.name < $1.member.name }
    }

    package func remove(_ name: MemberName) async throws(RuntimeError) {
        await state.withLock(\.behaviour.beforeRemoval)()
        let failure = state.withLock { state in
            if state.behaviour.removeFailure == nil { state.remove(name) }
            return state.behaviour.removeFailure
        }
        if let failure { throw failure }
        wake.yield()
    }

    package func freeze(_ name: MemberName) async throws(RuntimeError) { try setFrozen(name, true) }
    package func thaw(_ name: MemberName) async throws(RuntimeError) { try setFrozen(name, false) }

    package func setNetwork(_ policy: NetworkPolicy, of name: MemberName) async throws(RuntimeError) {
        guard abilities.contains(.network) else { throw RuntimeError(.unsupported, "this runtime has one network") }
        await state.withLock(\.behaviour.beforeNetwork)(policy)
        let failure = state.withLock { state -> RuntimeError? in
            if let failure = state.behaviour.networkFailure { return failure }
            guard state.places[name] != nil else { return RuntimeError(.unavailable, "there is no such place") }
            state.networks[name] = policy
            return nil
        }
        if let failure { throw failure }
    }

    package func unreadyReason() async -> String? {
        state.withLock { state in
            if state.isShutDown { return "the runtime is shut down" }
            if let reason = state.behaviour.unreadyReason { return reason }
            return state.idle.isEmpty ? state.behaviour.startFailure?.message : nil
        }
    }

    package func shutdown(keep: Bool) async {
        state.withLock { state in
            state.isShutDown = true
            for (name, place) in state.places where place.isIdle || !keep { state.remove(name) }
        }
        wake.finish()
    }

    // MARK: Inside

    private func fill() {
        while state.withLock({ !$0.isShutDown && $0.behaviour.startFailure == nil && $0.idle.count < poolSize }) {
            let place = newPlace(.idle)
            state.withLock { state in
                guard !state.isShutDown, state.idle.count < poolSize else { return }
                state.places[place.member.name] = place
                state.idle.append(place.member.name)
            }
        }
    }

    /// What waits in the pools of groups comes also without `run()`, when `fillPools` is called.
    package func fillPools() {
        let orders = state.withLock { state in
            state.isShutDown || state.behaviour.startFailure != nil ? [] : Array(state.pools.values)
        }
        for order in orders where refusal(of: order.members) == nil {
            while state.withLock({ state in
                guard !state.isShutDown, let order = state.pools[order.id] else { return false }
                return (state.pooled[order.id]?.count { $0.order == order.members } ?? 0) < order.target
            }) {
                let place = newPlace(.idle)
                state.withLock { state in
                    guard !state.isShutDown, let order = state.pools[order.id] else { return }
                    state.places[place.member.name] = place
                    state.pooled[order.id, default: []].append((place.member.name, order.members))
                    state.trim(order.id)
                }
            }
        }
    }

    private func newPlace(_ standing: Place.Standing) -> Place {
        let name = MemberName.random()
        let member = Member(
            name: name, sidekick: InMemorySidekicks.endpoint(of: name, "s"),
            sidekickInternal: InMemorySidekicks.endpoint(of: name, "i"), portHost: "127.0.0.1")
        return Place(member: member, isAlive: true, standing: standing, startedAt: clock.now())
    }

    private func setFrozen(_ name: MemberName, _ frozen: Bool) throws(RuntimeError) {
        guard abilities.contains(.freeze) else { throw RuntimeError(.unsupported, "this runtime cannot freeze") }
        let (failure, exists) = state.withLock { state -> (RuntimeError?, Bool) in
            if let failure = state.behaviour.freezeFailure { return (failure, true) }
            guard state.places[name]?.isAlive == true else { return (nil, false) }
            if frozen { state.frozen.insert(name) } else { state.frozen.remove(name) }
            return (nil, true)
        }
        if let failure { throw failure }
        guard exists else { throw RuntimeError(.unavailable, "there is no such place") }
    }
}

extension InMemoryRuntime.State {
    fileprivate mutating func remove(_ name: MemberName) {
        guard places.removeValue(forKey: name) != nil else { return }
        forgetIdle(name)
        frozen.remove(name)
        networks[name] = nil
        mounts[name] = nil
        disks[name] = nil
        removed.append(name)
    }
}

extension InMemoryRuntime.State {
    /// As many of a pool stay as shall wait; of those that were made to another order, as many as are not replaced yet.
    fileprivate mutating func trim(_ id: PoolID) {
        let (members, order) = (pooled[id] ?? [], pools[id])
        let made = members.filter { $0.order == order?.members }
        let old = members.filter { $0.order != order?.members }
        for member in (made + old).dropFirst(order?.target ?? 0) { remove(member.name) }
    }

    fileprivate mutating func forgetIdle(_ name: MemberName) {
        idle.removeAll { $0 == name }
        for id in pooled.keys { pooled[id]?.removeAll { $0.name == name } }
    }
}

extension Place {
    fileprivate init(_ place: Place, isAlive: Bool) {
        self = place
        self.isAlive = isAlive
    }
}
