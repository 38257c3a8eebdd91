import APIContract
import ComputeCore
import Logging
import Synchronization

/// The shell around `RouteTable`: lets requests wait for a route, asks the API on a miss, follows the feed.
final class RouteDirectory: Sendable {
    private struct State {
        var table: RouteTable
        /// Who waits for which compute; resumed at every change of it, and then looks again.
        var waiters: [ComputeID: [Int: AsyncStream<Void>.Continuation]] = [:]
        var nextWaiter = 0
    }

    private let state: Mutex<State>
    private let api: InternalAPI
    private let pool: UpstreamPool
    private let sessions: Sessions
    private let startingLimit: Duration
    private let feedWait: Duration
    private let logger: Logger
    /// Lookups for `run()` to make: they belong to all who wait, so no single client's disconnect ends one.
    /// Bounded by the table's limit on lookups.
    private let lookups: AsyncStream<ComputeID>
    private let lookupRequests: AsyncStream<ComputeID>.Continuation

    init(
        api: InternalAPI, pool: UpstreamPool, sessions: Sessions, limits: RouteTable.Limits = .init(),
        startingLimit: Duration,
        feedWait: Duration, logger: Logger
    ) {
        state = Mutex(State(table: RouteTable(limits: limits)))
        self.api = api
        self.pool = pool
        self.sessions = sessions
        self.startingLimit = startingLimit
        self.feedWait = feedWait
        self.logger = logger
        (lookups, lookupRequests) = AsyncStream.makeStream()
    }

    /// Nobody starts it for a request, so it makes no sense to ask often: as long as somebody takes who was told.
    private static let stoppedRetrySeconds = 10

    // MARK: - Asking

    /// The running route of a compute; waits for one that is starting, bounded.
    func route(for id: ComputeID) async throws(Problem) -> RouteRecord {
        let deadline = ContinuousClock.now.advanced(by: startingLimit)
        while true {
            let (finding, waiter) = state.withLock { state -> (RouteTable.Finding, (Int, AsyncStream<Void>)?) in
                let finding = state.table.find(id, now: .now)
                switch finding {
                case .running, .paused, .stopped, .ended, .unknown, .overloaded: return (finding, nil)
                case .starting, .pending, .lookUp:
                    let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
                    state.nextWaiter += 1
                    state.waiters[id, default: [:]][state.nextWaiter] = continuation
                    return (finding, (state.nextWaiter, stream))
                }
            }
            switch finding {
            case .running(let record): return record
            case .paused:
                throw Problem(status: 409, code: .conflict, message: "the sandbox is paused; resume it first")
            case .stopped:
                throw .unavailable(
                    "the sandbox is stopped; start it with POST /v1/sandboxes/\(id)/start",
                    retryAfterSeconds: Self.stoppedRetrySeconds)
            case .ended, .unknown: throw .notFound("no such sandbox")
            case .overloaded: throw .unavailable("too many sandboxes are being looked up")
            case .starting, .pending: break
            case .lookUp: lookupRequests.yield(id)
            }
            guard let waiter else { throw .unavailable("the sandbox is not reachable yet") }
            let changed = await Self.firstSignal(of: waiter.1, until: deadline)
            forget(waiter.0, of: id)
            guard changed else {
                throw .unavailable(
                    finding == .starting ? "the sandbox is still starting" : "the sandbox could not be looked up")
            }
        }
    }

    /// False once the compute has ended or runs as another generation.
    func isCurrent(_ route: RouteRecord) -> Bool { state.withLock { $0.table.isCurrent(route) } }

    /// Whether who has no token reaches the port now, and the route is still the compute's.
    func isPublic(_ port: Int, of route: RouteRecord) -> Bool {
        state.withLock { $0.table.isCurrent(route) && $0.table.isPublic(port, of: route.computeId) }
    }

    private static func firstSignal(of stream: AsyncStream<Void>, until deadline: ContinuousClock.Instant) async -> Bool
    {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                // A lookup that failed ends the stream without a signal.
                for await _ in stream { return true }
                return false
            }
            group.addTask {
                try? await Task.sleep(until: deadline, clock: .continuous)
                return false
            }
            let first = await group.next() ?? false
            group.cancelAll()
            return first
        }
    }

    private func forget(_ waiter: Int, of id: ComputeID) {
        state.withLock { state in
            state.waiters[id]?[waiter] = nil
            if state.waiters[id]?.isEmpty == true { state.waiters[id] = nil }
        }
    }

    // MARK: - Learning

    private func perform(_ order: RouteTable.Order) {
        switch order {
        case .doNothing: break
        case .wake(let id): wake(id)
        case .disconnect(let id, let generation):
            pool.close(id, below: generation)
            wake(id)
        case .confine(let id, let ports):
            pool.closeVisitors(of: id, ports)
            wake(id)
        }
    }

    private func wake(_ id: ComputeID) {
        for continuation in state.withLock({ Array(($0.waiters[id] ?? [:]).values) }) { continuation.yield() }
    }

    private func fail(_ id: ComputeID) {
        for continuation in state.withLock({ Array(($0.waiters[id] ?? [:]).values) }) { continuation.finish() }
    }

    /// Follows the feed and makes lookups until cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.followFeed() }
            for await id in lookups { group.addTask { await self.lookUp(id) } }
        }
    }

    private func lookUp(_ id: ComputeID) async {
        do {
            let record = try await api.route(id)
            perform(state.withLock { $0.table.lookedUp(id, found: record, now: .now) })
        } catch {
            state.withLock { $0.table.lookupFailed(id) }
            logger.warning("route lookup failed", metadata: ["compute": "\(id)", "error": "\(error)"])
            fail(id)
        }
    }

    /// Reads the feed for ever: everything there is first, then as it comes.
    private func followFeed() async {
        var cursor: String?
        var backoff = Backoff(first: .milliseconds(50), most: .seconds(5))
        var catchingUp = true
        while !Task.isCancelled {
            let asked = ContinuousClock.now
            var heard = false
            do {
                try await api.events(after: cursor, wait: catchingUp ? .zero : feedWait) { line in
                    heard = heard || line.type != nil
                    if let record = line.route {
                        self.perform(self.state.withLock { $0.table.happened(record) })
                        if record.state == .ended { self.sessions.ended(record.computeId) }
                    }
                    if let record = line.ports { self.perform(self.state.withLock { $0.table.happened(record) }) }
                    if let record = line.session { self.sessions.revoked(record) }
                    cursor = line.cursor
                }
                if catchingUp {
                    catchingUp = false
                    state.withLock { $0.table.caughtUp() }
                    sessions.caughtUp()
                    logger.info("following the event feed")
                    continue
                }
                // An answer that ends early without news breaks the feed's promise; never ask in a tight loop.
                if !heard, ContinuousClock.now - asked < feedWait / 2 {
                    try? await Task.sleep(for: backoff.next())
                } else {
                    backoff.reset()
                }
            } catch {
                guard !Task.isCancelled else { return }
                sessions.feedLost()
                logger.warning("event feed interrupted", metadata: ["error": "\(error)"])
                if error.code == .cursorLost, cursor != nil {
                    cursor = nil
                    state.withLock { $0.table.restarted() }
                }
                // What happened meanwhile comes first when the feed is back, without waiting for more.
                catchingUp = true
                try? await Task.sleep(for: backoff.next())
            }
        }
    }
}
