package import ComputeCore
package import ComputeRuntime
import Glibc
import Logging
import Synchronization

/// Computes on this machine: the shell around a pool of members, which an `Isolation` starts and ends.
///
/// A member outlives this process when that is killed. The next one finds it again (`Place.Standing.leftover`);
/// what nobody can use any more by then is removed at its start.
package final class MachineRuntime: ComputeRuntime {
    package struct Settings: Sendable {
        /// Members live in `members` below it. Made if missing.
        package var dataDirectory: String
        /// The `sidekick` executable.
        package var sidekick: String
        /// The API's public claim key, base64url.
        package var claimKey: String
        package var poolSize: Int
        package var concurrentStarts = 2
        /// How long a refill may take. A Sidekick listens after tens of milliseconds; a machine that is busy
        /// beyond this serves nobody.
        package var startDeadline: Duration = .seconds(15)
        /// Lets a member that nobody waits for do once what its first user will ask of it. One that cannot is no use.
        package var warmUp: @Sendable (Member) async throws -> Void = { _ in }

        package init(dataDirectory: String, sidekick: String, claimKey: String, poolSize: Int) {
            self.dataDirectory = dataDirectory
            self.sidekick = sidekick
            self.claimKey = claimKey
            self.poolSize = poolSize
        }

        var members: String { "\(dataDirectory)/members" }
    }

    package let abilities: RuntimeAbilities

    let settings: Settings
    let isolation: any Isolation
    let logger: Logger
    let clock: any WallClock
    let state: Mutex<State>
    /// Members that are made to order start beside the pool, no more at once than the pool's own.
    let gate: StartGate
    /// What `run()` has to do. Its length is bounded by the pools: one order per start, retry or surplus member.
    let work: AsyncStream<Work>
    let workQueue: AsyncStream<Work>.Continuation

    enum Work: Sendable {
        case obey(PoolSet.Order)
        /// It became idle.
        case freeze(MemberName)
    }

    struct State: ~Copyable {
        /// Its own, and those that were ordered for groups.
        var pool: PoolSet
        /// Members whose start is under way.
        var starting: Set<MemberName> = []
        /// Members that this runtime started and that have not ended.
        var running: Set<MemberName> = []
        var startedAt: [MemberName: WallTime] = [:]
        var takenAt: [MemberName: WallTime] = [:]
        var removals: [MemberName: Task<Result<Void, RuntimeError>, Never>] = [:]
        /// Answers that their waiters have not fetched yet, and how to wake them.
        var answers: [PoolSet.WaiterID: Result<Member, RuntimeError>] = [:]
        var waiters: [PoolSet.WaiterID: AsyncStream<Void>.Continuation] = [:]
        var isRunning = false
        var isShutDown = false
    }

    init(
        settings: Settings, isolation: any Isolation, logger: Logger, clock: any WallClock
    ) throws(RuntimeError) {
        self.settings = settings
        self.isolation = isolation
        self.logger = logger
        self.clock = clock
        abilities = isolation.abilities
        gate = StartGate(width: settings.concurrentStarts)
        var pool = WarmPool.Settings(
            target: max(0, settings.poolSize), concurrentStarts: settings.concurrentStarts)
        pool.refillPause = .milliseconds(250)
        state = Mutex(State(pool: PoolSet(pool)))
        (work, workQueue) = AsyncStream.makeStream()
        for directory in [settings.dataDirectory, settings.members] {
            guard mkdir(directory, 0o700) == 0 || errno == EEXIST else { throw .system("cannot make \(directory)") }
        }
    }

    package func describe() -> RuntimeDescription {
        var description = isolation.description
        state.withLock { state in
            description.poolTarget = state.pool.target
            description.poolIdle = state.pool.idleCount
        }
        return description
    }

    // MARK: Pools of groups

    package func setPools(_ orders: [PoolOrder]) { step { $0.pool.set(orders) } }

    package var pools: [PoolID: PoolStatus] { state.withLock { $0.pool.statuses } }

    package func takeIdleMember(of pool: PoolID, _ order: MemberOrder) -> Member? {
        takeIdle { $0.take(of: pool, order) }
    }

    // MARK: Taking members

    package var idleCount: Int { state.withLock { $0.pool.idleCount } }

    package func takeIdleMember() -> Member? { takeIdle { $0.take() } }

    private func takeIdle(_ take: (inout PoolSet) -> (Member?, [PoolSet.Order])) -> Member? {
        // One that died this moment cannot be taken; the next one can.
        while true {
            let now = clock.now()
            var member: Member?
            step { state in
                let (taken, orders) = take(&state.pool)
                if let taken { state.takenAt[taken.name] = now }
                member = taken
                return orders
            }
            guard let member else { return nil }
            if self.take(member) { return member }
        }
    }

    package func startMember(
        _ order: MemberOrder, deadline: ContinuousClock.Instant
    ) async throws(RuntimeError) -> Member {
        guard order.isEmpty else { return try await startToOrder(order, deadline: deadline) }
        while true {
            let member = try await poolsNext(deadline: deadline)
            if take(member) { return member }
        }
    }

    /// - Returns: false when it is of no use any more; it is removed then.
    private func take(_ member: Member) -> Bool {
        do {
            try isolation.take(member.name)
            return true
        } catch {
            logger.error("A member cannot be taken", metadata: ["member": "\(member.name)", "error": "\(error)"])
            workQueue.yield(.obey(.remove(member.name)))
            return false
        }
    }

    private func poolsNext(deadline: ContinuousClock.Instant) async throws(RuntimeError) -> Member {
        let (wakes, wake) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        var waiter: PoolSet.WaiterID?
        step { state in
            let (id, orders) = state.pool.wait()
            state.waiters[id] = wake
            waiter = id
            return orders
        }
        guard let waiter else { preconditionFailure("step runs its closure") }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in wakes { return } }
            group.addTask { try? await Task.sleep(until: deadline, clock: .continuous) }
            await group.next()
            group.cancelAll()
        }
        let answer = state.withLock { state -> Result<Member, RuntimeError>? in
            state.waiters[waiter] = nil
            // A member that came in the last moment is the caller's: giving it up here would leak it.
            return state.pool.giveUp(waiter) ? nil : state.answers.removeValue(forKey: waiter)
        }
        guard let answer else { throw RuntimeError(.deadlineExceeded, "no member was ready in time") }
        return try answer.get()
    }

    package func unreadyReason() async -> String? {
        state.withLock { $0.isRunning ? $0.pool.unreadyReason : "the runtime is not running" }
    }

    // MARK: The shell around the pool

    /// One step of the pool: answers reach their waiters here, everything else is `run()`'s work.
    func step(_ change: (inout State) -> [PoolSet.Order]) {
        let now = clock.now()
        let (work, wakes) = state.withLock { state in
            var work: [PoolSet.Order] = []
            var wakes: [AsyncStream<Void>.Continuation] = []
            for order in change(&state) {
                switch order {
                case .give(let member, let waiter):
                    state.takenAt[member.name] = now
                    state.answers[waiter] = .success(member)
                    if let wake = state.waiters[waiter] { wakes.append(wake) }
                case .fail(let waiter, let code, let reason):
                    state.answers[waiter] = .failure(RuntimeError(code, reason))
                    if let wake = state.waiters[waiter] { wakes.append(wake) }
                case .start, .remove, .scheduleRetry:
                    work.append(order)
                }
            }
            return (work, wakes)
        }
        for wake in wakes { wake.yield() }
        for order in work { workQueue.yield(.obey(order)) }
    }
}
