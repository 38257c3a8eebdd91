import APIContract
import ComputeCore
import ComputeDomain
import ComputeRuntime
import EventSourcing
package import Logging
import ServiceLifecycle
import Synchronization

/// Tells the runtime which pools shall be, and gives creates what waits in them.
///
/// What shall be follows from the read models, read whole: at the start, when an event says that it changed (whichever
/// instance changed it), and every few seconds whatever happened. How much of it follows from what creates ask for.
///
/// A create gets a member only of a pool of its own group, and only one that was made exactly as the create wants it. So
/// it does not matter how old what is known here is: what a template says now is read with the create.
package final class PoolKeeper: Service, StoreReader {
    private static let page = 500
    /// How often what is wanted is looked at when nobody asks for anything: it goes down slowly.
    private static let pause: Duration = .seconds(1)
    /// Each event wakes all readers; what changes pools is rare among them.
    private static let shortestPause: Duration = .milliseconds(20)
    private static let types = Set(PoolEvent.TypeName.allCases.map(\.rawValue))
        .union([TemplateEvent.TypeName.revised, .deleted].map(\.rawValue))

    private struct Kept {
        var group: GroupID
        var template: TemplateID
        var plan: PoolPlan
        var scale: PoolScale
    }

    private struct State {
        var pools: [PoolID: Kept] = [:]
        var byGroup: [GroupID: [PoolID]] = [:]
        var told: [PoolOrder] = []
        /// The one that reads, and the one that will, for whoever comes meanwhile.
        var reading: Task<Void, Never>?
        var next: Task<Void, Never>?
    }

    let ports: APIPorts
    let settings: APISettings
    let logger: Logger
    private let state = Mutex(State())

    package init(ports: APIPorts, settings: APISettings, logger: Logger) {
        self.ports = ports
        self.settings = settings
        self.logger = logger
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do throws(EventStoreError) {
                    // In this order: what comes after the end of the log is seen as an event.
                    let end = try await self.ports.store.head()
                    await self.refresh()
                    try await self.waitForChange(after: end)
                } catch {
                    self.logger.failure("pools cannot be looked at", error)
                    try? await Task.sleep(for: Self.pause)
                }
            }
        }
    }

    /// Until something happened to a pool or a template, or it is time to look anyway.
    private func waitForChange(after end: Cursor?) async throws(EventStoreError) {
        let deadline = ContinuousClock.now + settings.sweepInterval
        var place = end
        while !Task.isCancelled, ContinuousClock.now < deadline {
            await ports.store.waitForEvents(after: place, timeout: Self.pause)
            tell()
            var hasMore = true
            while hasMore {
                let page = try await ports.store.events(
                    after: place, matching: EventFilter(types: Self.types), limit: 1000)
                guard page.events.isEmpty else { return }
                (place, hasMore) = (page.next ?? place, page.hasMore)
            }
            try? await Task.sleep(for: Self.shortestPause)
        }
    }

    // MARK: - What shall be

    /// Reads what shall be and tells the runtime. What was committed before the call is in it.
    package func refresh() async {
        let task = state.withLock { state in
            if let next = state.next { return next }
            let before = state.reading
            let task = Task {
                await before?.value
                self.state.withLock { state in (state.reading, state.next) = (state.next, nil) }
                await self.read()
            }
            state.next = task
            return task
        }
        await task.value
    }

    private func read() async {
        do throws(Problem) {
            var supplies: [PoolSupply] = []
            while true {
                let last = supplies.last?.pool.id
                let page = try await reading { () async throws(EventStoreError) in
                    try await ports.pools.supplies(after: last, limit: Self.page)
                }
                supplies += page
                if page.count < Self.page { break }
            }
            let offer = ServerOffer(ports, settings)
            let planned = supplies.map { ($0.pool, PoolPlan($0.defaults, offer)) }
            state.withLock { state in
                let old = state.pools
                state.pools = [:]
                for (pool, plan) in planned {
                    let (minimum, maximum) = (Int(pool.spec.minimum), Int(pool.spec.maximum))
                    var scale = old[pool.id]?.scale ?? PoolScale(minimum: minimum, maximum: maximum)
                    scale.resize(minimum: minimum, maximum: maximum)
                    state.pools[pool.id] = Kept(
                        group: pool.group, template: pool.spec.template, plan: plan, scale: scale)
                }
                state.byGroup = Dictionary(grouping: planned.map(\.0.id)) { state.pools[$0]!.group }
            }
            tell()
        } catch {
            // What was told last holds; it is tried again in a moment.
        }
    }

    private func tell() {
        let (now, statuses) = (ports.clock.now(), ports.runtime.pools)
        state.withLock { state in
            var orders: [PoolOrder] = []
            for id in state.pools.keys.sorted() {
                guard let kept = state.pools[id], case .members(let order) = kept.plan else { continue }
                if let time = statuses[id]?.startTime { state.pools[id]?.scale.learn(startTime: time) }
                let target = state.pools[id]?.scale.target(at: now) ?? 0
                orders.append(PoolOrder(id: id, group: kept.group, members: order, target: target))
            }
            guard orders != state.told else { return }
            state.told = orders
            // Within, so that what was decided last is told last. The runtime writes it down and returns; it never
            // calls us.
            ports.runtime.setPools(orders)
        }
    }

    // MARK: - What creates ask for

    /// Whether some pool of the group may have one for it.
    func keepsSome(for request: CreateSandbox, in group: GroupID) -> Bool {
        !candidates(request, in: group).isEmpty
    }

    /// One that waits and is just so; whoever gets it owns it, and counts it once a compute is in it. It may be left of what
    /// a pool was before: a create of an earlier revision finds it, and whoever knows of a new one before this does not
    /// miss it.
    func take(for request: CreateSandbox, _ order: MemberOrder, in group: GroupID) -> Member? {
        for id in candidates(request, in: group) {
            guard let member = ports.runtime.takeIdleMember(of: id, order) else { continue }
            asked(id, order)
            return member
        }
        return nil
    }

    /// A place is started for it, because none waited.
    func missed(_ request: CreateSandbox, _ order: MemberOrder, in group: GroupID) {
        let ids = candidates(request, in: group)
        let id = state.withLock { state in ids.first { state.pools[$0]?.plan == .members(order) } }
        guard let id else { return }
        APIMetrics.asked(aPool: false)
        asked(id, order)
    }

    private func asked(_ id: PoolID, _ order: MemberOrder) {
        let now = ports.clock.now()
        let isMore = state.withLock { state in
            // More of what it was before is of no use.
            guard state.pools[id]?.plan == .members(order), var scale = state.pools[id]?.scale else { return false }
            let before = scale.target(at: now)
            scale.ask(at: now)
            state.pools[id]?.scale = scale
            return scale.target(at: now) != before
        }
        if isMore { tell() }
    }

    /// What exactly their members are the runtime knows.
    private func candidates(_ request: CreateSandbox, in group: GroupID) -> [PoolID] {
        guard let used = request.usedTemplate else { return [] }
        return state.withLock { state in
            (state.byGroup[group] ?? []).filter { state.pools[$0]?.template == used.id }
        }
    }

    // MARK: - How it stands

    /// - Parameter status: as the runtime has it; nil: it does not know of the pool.
    func status(of id: PoolID, _ status: PoolStatus?) -> PoolView.Status {
        if case .none(let reason)? = state.withLock({ $0.pools[id]?.plan }) {
            return PoolView.Status(health: .blocked, reason: reason)
        }
        guard let status else { return PoolView.Status(health: .starting) }
        // Until the first one is there nobody knows whether they start.
        let isNew = status.startTime == nil && status.idle == 0 && status.target > 0
        return PoolView.Status(
            target: status.target, idle: status.idle, starting: status.starting,
            health: status.failure != nil ? .failing : isNew ? .starting : .healthy,
            // Details of the machine stay in the log.
            reason: status.failure.map { Problem($0).message })
    }
}
