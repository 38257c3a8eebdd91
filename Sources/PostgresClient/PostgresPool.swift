import Dispatch
import Foundation
package import Logging
import Synchronization

/// Connections to one server, each with a thread of its own; async code waits and never blocks.
///
/// ```
///   run ──▶ queue (bounded) ──▶ thread ─ connection ──▶ answer
///    │                            ▲
///    └─ cancelled, deadline ──────┘  a canceller asks the server to stop; a watch answers for a thread that hangs
/// ```
package final class PostgresPool: Sendable {
    private struct State {
        var queue: [PostgresJob] = []
        var running: [ObjectIdentifier: PostgresJob] = [:]
        var isClosed = false
        /// When the watch looks next; nil while nothing is under way.
        var watchedUntil: ContinuousClock.Instant?
    }
    private let configuration: PostgresConfiguration
    private let logger: Logger
    private let state = Mutex(State())
    private let reconnect = Mutex(ReconnectMachine())
    private let wakeUps = DispatchSemaphore(value: 0)
    private let cancellations = Mutex<[PostgresCancellation]>([])
    private let cancellationsCame = DispatchSemaphore(value: 0)
    private let earlierDeadlineCame = DispatchSemaphore(value: 0)

    /// What waits for a connection at most. At the usual millisecond each that is a second of waiting; more would only
    /// be answered when nobody waits for it any more.
    static let longestQueue = 2000

    package init(_ configuration: PostgresConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    /// Starts the threads, which `close` ends; connections are made when they are needed. To be called once.
    package func start() {
        for number in 0..<configuration.connections {
            Thread.start("postgres-\(number)") { self.work() }
        }
        Thread.start("postgres-watch") { self.watch() }
        Thread.start("postgres-cancel") { self.cancel() }
    }

    /// Refuses what comes from now on, and fails what waits. Does not wait for what runs: that goes on to its end, which
    /// its deadline limits, and the threads end with their connections behind it. The canceller may outlive them: it hangs
    /// for as long as the server it asked is frozen.
    package func close() {
        let waiting = state.withLock { state in
            state.isClosed = true
            defer { state.queue = [] }
            return state.queue
        }
        for job in waiting { job.fail(PostgresError(.closed, "the pool is closed")) }
        for _ in 0..<configuration.connections { wakeUps.signal() }
        cancellationsCame.signal()
        earlierDeadlineCame.signal()
    }

    /// Runs `work` with a connection, on its thread.
    ///
    /// A connection that breaks before anything took effect is replaced once, and `work` runs again: it must be a
    /// reading, one statement that may be repeated, or a transaction.
    /// - Parameters:
    ///   - isCancellable: whether a cancelled task ends the work; else its end is waited for.
    ///   - deadline: where it is part of something that has begun already; else it has the whole time from now on.
    package func run<T: Sendable>(
        isCancellable: Bool = true, until deadline: ContinuousClock.Instant? = nil,
        _ work: @escaping @Sendable (PostgresConnection, ContinuousClock.Instant) throws -> T
    ) async throws -> T {
        let answer = PostgresAnswer<T>()
        let deadline = deadline ?? ContinuousClock.now + configuration.deadline
        let job = PostgresJob(deadline: deadline, fail: { answer.give(.failure($0)) }) { connection in
            do {
                let value = try work(connection, deadline)
                answer.give(.success(value))
            } catch let error as PostgresError where error.code == .connectionLost {
                return error
            } catch {
                answer.give(.failure(error))
            }
            return nil
        }
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                answer.expect(continuation)
                enqueue(job)
            }
        } onCancel: {
            guard isCancellable else { return }
            if let running = job.cancel() { enqueue(running) }
        }
        return try result.get()
    }

    private func enqueue(_ job: PostgresJob) {
        let time = job.deadline + Self.grace
        let (refusal, isEarlier) = state.withLock { state -> (PostgresError?, Bool) in
            if state.isClosed { return (PostgresError(.closed, "the pool is closed"), false) }
            if state.queue.count >= Self.longestQueue {
                return (PostgresError(.overloaded, "too much is waiting for the database"), false)
            }
            state.queue.append(job)
            if let next = state.watchedUntil, next <= time { return (nil, false) }
            state.watchedUntil = time
            return (nil, true)
        }
        if let refusal { return job.fail(refusal) }
        wakeUps.signal()
        if isEarlier { earlierDeadlineCame.signal() }
    }

    // MARK: - Threads

    private func next() -> PostgresJob? {
        while true {
            wakeUps.wait()
            let (job, isClosed) = state.withLock { state -> (PostgresJob?, Bool) in
                guard !state.queue.isEmpty else { return (nil, state.isClosed) }
                let job = state.queue.removeFirst()
                state.running[ObjectIdentifier(job)] = job
                return (job, false)
            }
            if let job { return job }
            if isClosed { return nil }
        }
    }

    private func work() {
        var connection: PostgresConnection?
        while let job = next() {
            perform(job, on: &connection)
            state.withLock { $0.running[ObjectIdentifier(job)] = nil }
        }
    }

    private func perform(_ job: PostgresJob, on connection: inout PostgresConnection?) {
        // Twice: once more after a connection that was lost without effect.
        for attempt in 1...2 {
            if connection?.isAlive != true { connection = nil }
            guard job.isWanted else { return job.giveUp() }
            do throws(PostgresError) {
                let usable: PostgresConnection
                if let connection { usable = connection } else { usable = try connect(until: job.deadline) }
                connection = usable
                guard job.start(usable.cancellation) else { return }
                let lost = job.perform(usable)
                // A cancel that is under way may arrive when the connection does something else.
                let wasCancelled = job.end(again: lost != nil && attempt == 1)
                if wasCancelled || !usable.isUsable { connection = nil }
                guard let lost else { return }
                logger.warning("a connection to the database broke", metadata: ["error": "\(lost)"])
                if attempt == 2 { job.fail(lost) }
            } catch {
                return job.fail(error)
            }
        }
    }

    private func connect(until deadline: ContinuousClock.Instant) throws(PostgresError) -> PostgresConnection {
        switch reconnect.withLock({ $0.mayConnect(now: .now, until: deadline) }) {
        case .refuse(let error): throw error
        case .connect: break
        }
        // Whoever has waited for long has less time than a server may take, and finds out nothing about it.
        let whole = configuration.wholeConnectDeadline
        let start = ContinuousClock.now
        let end = min(deadline, start + whole)
        do {
            let connection = try PostgresConnection.open(configuration, until: end)
            reconnect.withLock { $0.connected() }
            return connection
        } catch {
            if end < start + whole && end <= .now {
                reconnect.withLock { $0.gaveUp(now: .now) }
            } else {
                reconnect.withLock { $0.failed(error, now: .now) }
            }
            logger.warning("no connection to the database", metadata: ["error": "\(error)"])
            throw error
        }
    }

    /// Answers for threads that did not keep a deadline by themselves, such as one whose work waits for something else.
    private func watch() {
        while true {
            let (late, next, isOver) = state.withLock { state in
                let now = ContinuousClock.now
                var late = state.queue.filter { $0.deadline + Self.grace <= now }
                state.queue.removeAll { $0.deadline + Self.grace <= now }
                for (id, job) in state.running where job.deadline + Self.grace <= now {
                    late.append(job)
                    state.running[id] = nil
                }
                state.watchedUntil = (state.queue + state.running.values).map { $0.deadline + Self.grace }.min()
                return (late, state.watchedUntil, state.isClosed && state.running.isEmpty)
            }
            for job in late { job.fail(PostgresError(.deadlineExceeded, "the database did not answer in time")) }
            if isOver { return }
            if let next {
                _ = earlierDeadlineCame.wait(timeout: .now() + max(next - .now, .zero) / .seconds(1))
            } else {
                earlierDeadlineCame.wait()
            }
        }
    }

    /// What a thread may be late by before the watch answers for it: it usually knows the better reason.
    private static let grace: Duration = .milliseconds(300)

    private func enqueue(_ cancellation: PostgresCancellation) {
        // When the canceller hangs, deadlines end what was cancelled; more than this need not be remembered.
        let isNew = cancellations.withLock { waiting in
            guard waiting.count < 100 else { return false }
            waiting.append(cancellation)
            return true
        }
        if isNew { cancellationsCame.signal() }
    }

    private func cancel() {
        while true {
            cancellationsCame.wait()
            guard let next = cancellations.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) else {
                if state.withLock({ $0.isClosed }) { return }
                continue
            }
            next.send()
        }
    }
}

extension Thread {
    fileprivate static func start(_ name: String, _ run: @escaping @Sendable () -> Void) {
        let thread = Thread(block: run)
        thread.name = name
        thread.start()
    }
}
