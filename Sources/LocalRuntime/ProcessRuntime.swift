package import ComputeCore
package import ComputeRuntime
import Glibc
package import Logging
import Synchronization

/// Computes on this machine.
///
/// Its one isolation so far is *process*: a member is a plain process beside ours, so code in it can read and do
/// whatever our own user can. That is for development only; the composition chooses it when the setting says so,
/// never by default.
///
/// A member outlives this process when that is killed. The next one finds it again (`Place.Standing.leftover`);
/// members that are dead by then are removed at its start.
package final class ProcessRuntime: ComputeRuntime {
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

        package init(dataDirectory: String, sidekick: String, claimKey: String, poolSize: Int) {
            self.dataDirectory = dataDirectory
            self.sidekick = sidekick
            self.claimKey = claimKey
            self.poolSize = poolSize
        }
    }

    /// No `freeze`: stopping every process of a tree is no freezer, since a stopped one is seen by its parent and
    /// can be continued by its siblings.
    package let abilities: RuntimeAbilities = []

    let settings: Settings
    let members: String
    let logger: Logger
    let clock: any WallClock
    let state: Mutex<State>
    /// What `run()` has to do. Its length is bounded by the pool: one order per start, retry or surplus member.
    let orders: AsyncStream<WarmPool.Order>
    let orderQueue: AsyncStream<WarmPool.Order>.Continuation

    struct State: ~Copyable {
        var pool: WarmPool
        /// Members whose start is under way.
        var starting: Set<MemberName> = []
        /// Processes that this runtime started and that have not ended.
        var running: Set<MemberName> = []
        var startedAt: [MemberName: WallTime] = [:]
        var takenAt: [MemberName: WallTime] = [:]
        /// Answers that their waiters have not fetched yet, and how to wake them.
        var answers: [WarmPool.WaiterID: Result<Member, RuntimeError>] = [:]
        var waiters: [WarmPool.WaiterID: AsyncStream<Void>.Continuation] = [:]
        var isRunning = false
        var isShutDown = false
    }

    /// - Throws: when the data directory cannot be made or its path is too long for sockets.
    package init(
        settings: Settings, logger: Logger, clock: any WallClock = SystemWallClock()
    ) throws(RuntimeError) {
        self.settings = settings
        self.logger = logger
        self.clock = clock
        members = "\(settings.dataDirectory)/members"
        let pool = WarmPool.Settings(
            target: max(0, settings.poolSize), concurrentStarts: settings.concurrentStarts)
        state = Mutex(State(pool: WarmPool(pool)))
        (orders, orderQueue) = AsyncStream.makeStream()
        try MemberDirectory.checkSocketPaths(under: members)
        for directory in [settings.dataDirectory, members] {
            guard mkdir(directory, 0o700) == 0 || errno == EEXIST else { throw .system("cannot make \(directory)") }
        }
        guard access(settings.sidekick, X_OK) == 0 else {
            throw .system("cannot execute the sidekick at \(settings.sidekick)")
        }
    }

    // MARK: Taking members

    package var idleCount: Int { state.withLock { $0.pool.idleCount } }

    package func takeIdleMember() -> Member? {
        let now = clock.now()
        var member: Member?
        step { state in
            let (taken, orders) = state.pool.take()
            if let taken { state.takenAt[taken.name] = now }
            member = taken
            return orders
        }
        return member
    }

    package func startMember(deadline: ContinuousClock.Instant) async throws(RuntimeError) -> Member {
        let (wakes, wake) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        var waiter: WarmPool.WaiterID?
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

    // MARK: What is not supported

    package func freeze(_ name: MemberName) async throws(RuntimeError) {
        throw RuntimeError(.unsupported, "process isolation cannot freeze a compute")
    }
    package func thaw(_ name: MemberName) async throws(RuntimeError) {
        throw RuntimeError(.unsupported, "process isolation cannot freeze a compute")
    }

    package func unreadyReason() async -> String? {
        state.withLock { $0.isRunning ? $0.pool.unreadyReason : "the runtime is not running" }
    }

    // MARK: The shell around the pool

    /// One step of the pool: answers reach their waiters here, everything else is `run()`'s work.
    func step(_ change: (inout State) -> [WarmPool.Order]) {
        let now = clock.now()
        let (work, wakes) = state.withLock { state in
            var work: [WarmPool.Order] = []
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
        for order in work { orderQueue.yield(order) }
    }
}
