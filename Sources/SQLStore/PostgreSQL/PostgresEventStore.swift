package import ComputeCore
import ComputeDomain
package import EventSourcing
package import Logging
package import PostgresClient
import Synchronization

/// The event store in a PostgreSQL database, which any number of instances share.
package final class PostgresEventStore: SQLEventStore {
    private let pool: PostgresPool
    private let signal: AppendSignal<TransactionPlace>
    private let watch: LogWatch
    private let positions = PositionReserve()
    private let deadline: Duration

    private init(
        _ configuration: PostgresConfiguration, isAlone: Bool, longestLook: Duration, head: TransactionPlace,
        logger: Logger
    ) throws(EventStoreError) {
        deadline = configuration.deadline
        signal = AppendSignal(latest: head)
        watch = try LogWatch(
            configuration, isAlone: isAlone, longestLook: longestLook, signal: signal, logger: logger)
        pool = PostgresPool(configuration, logger: logger)
    }

    /// Brings the schema up to date, or with `migrates: false` only looks whether it is.
    /// - Parameters:
    ///   - isAlone: for an instance whose computes no other one can see: refuses a database that another such instance
    ///     uses, because each would end the other's computes as lost.
    ///   - longestLook: how late a reader may be whom no notice reached.
    /// - Throws: `.unavailable`, or `.corrupt` for a database that is not ours or of a newer version.
    package static func open(
        _ configuration: PostgresConfiguration, migrates: Bool = true, isAlone: Bool = false,
        longestLook: Duration = .seconds(1), now: WallTime, logger: Logger
    ) async throws(EventStoreError) -> PostgresEventStore {
        let (_, head) = try await prepare(configuration, migrates: migrates, now: now, logger: logger)
        let store = try PostgresEventStore(
            configuration, isAlone: isAlone, longestLook: longestLook, head: head, logger: logger)
        store.watch.start()
        store.pool.start()
        guard isAlone else { return store }
        // One that was killed a moment ago may still be connected for the server.
        let deadline = ContinuousClock.now + configuration.deadline
        while !store.watch.claimed.isHeld {
            let isOver = (try? await Task.sleep(for: .milliseconds(10))) == nil || deadline < .now
            guard isOver else { continue }
            let isRefused = store.watch.claimed.isRefused
            store.close()
            throw EventStoreError(
                .unavailable,
                isRefused
                    ? "another instance with computes on its own machine uses this database; each needs its own"
                    : "the database did not answer in time")
        }
        return store
    }

    /// - Returns: how many schema steps were taken.
    package static func migrate(_ configuration: PostgresConfiguration, now: WallTime, logger: Logger)
        async throws(EventStoreError) -> Int
    {
        try await prepare(configuration, migrates: true, now: now, logger: logger).steps
    }

    /// Makes the read models anew from the log. Commits of all instances wait meanwhile.
    /// - Returns: how many events there are.
    package static func rebuild(_ configuration: PostgresConfiguration, now: WallTime, logger: Logger)
        async throws(EventStoreError) -> Int
    {
        _ = try await prepare(configuration, migrates: false, now: now, logger: logger)
        var patient = configuration
        patient.deadline = .seconds(24 * 3600)
        patient.connections = 1
        let pool = PostgresPool(patient, logger: logger)
        pool.start()
        defer { pool.close() }
        do {
            return try await pool.run { connection, deadline in
                // A change of access has its rows before it appends: one of the two may have to begin again.
                try Self.repeating {
                    try connection.transaction(until: deadline) {
                        try connection.run(script: "SET LOCAL statement_timeout = 0", until: deadline)
                        // Waits for whoever appends, and keeps out the next: then all there is can be read.
                        try connection.run(script: "LOCK TABLE events IN SHARE MODE", until: deadline)
                        let db = PostgresSQLConnection(connection: connection, deadline: deadline)
                        return (keep: true, value: try Rebuild(log: PostgresLog(db: db)).run())
                    }
                }
            }
        } catch {
            throw EventStoreError(translatingPostgres: error)
        }
    }

    private static func prepare(
        _ configuration: PostgresConfiguration, migrates: Bool, now: WallTime, logger: Logger
    ) async throws(EventStoreError) -> (steps: Int, head: TransactionPlace) {
        // A pool of its own, because this may take longer than any other work.
        var patient = configuration
        patient.deadline = PostgresMigrator.deadline
        patient.connections = 1
        let pool = PostgresPool(patient, logger: logger)
        pool.start()
        defer { pool.close() }
        do {
            return try await pool.run { connection, deadline in
                let steps = try PostgresMigrator().migrate(connection, now: now, applies: migrates)
                let log = PostgresLog(db: PostgresSQLConnection(connection: connection, deadline: deadline))
                try log.requireOwnCluster()
                return (steps, try log.head() ?? .start)
            }
        } catch {
            throw EventStoreError(translatingPostgres: error)
        }
    }

    /// Every later call throws `.unavailable`. What is under way is not waited for and goes on to its end; the lock of an
    /// instance that must be alone is given up a moment later.
    package func close() {
        pool.close()
        watch.close()
    }

    /// Waits until the database became another instance's: then every call throws `.unavailable`, and this instance has
    /// to end. Otherwise returns only when the store is closed or the task is cancelled.
    package func requireClaim() async throws(EventStoreError) {
        await watch.waitForLoss()
        try watch.claimed.requireReading()
    }

    package func read<T: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> T)
        async throws(EventStoreError) -> T
    {
        try watch.claimed.requireReading()
        do {
            return try await pool.run { connection, deadline in
                try work(PostgresSQLConnection(connection: connection, deadline: deadline))
            }
        } catch {
            throw EventStoreError(translatingPostgres: error)
        }
    }

    package func write<T: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> T)
        async throws(EventStoreError) -> T
    {
        try watch.claimed.requireWriting()
        do {
            return try await pool.run { connection, deadline in
                // Somebody else may be in the way, as who forgets expired tokens is for who notes their uses.
                try Self.repeating {
                    try connection.transaction(until: deadline) {
                        let db = PostgresSQLConnection(connection: connection, deadline: deadline)
                        return (keep: true, value: try work(db))
                    }
                }
            }
        } catch {
            throw EventStoreError(translatingPostgres: error)
        }
    }

    // MARK: - EventStore

    package func commit(_ commit: Commit) async throws(EventStoreError) -> CommitOutcome {
        try watch.claimed.requireWriting()
        let outcome: CommitOutcome
        let appended = Mutex<[RecordedEvent]>([])
        // For all of it, also for finding out what became of it.
        let end = ContinuousClock.now + deadline
        do {
            // Carried out also when its caller was cancelled, as if the connection had broken a moment later.
            outcome = try await pool.run(isCancellable: false, until: end) { [watch, positions] connection, deadline in
                let db = PostgresSQLConnection(connection: connection, deadline: deadline)
                return try Self.repeating {
                    if let (append, event) = commit.loneEvent {
                        // Known before it is sent: if the answer is lost, that is what it is found out by.
                        let position = try positions.next(db)
                        let event = append.recorded(event, after: append.expectedVersion, at: position, in: commit)
                        appended.withLock { $0 = [event] }
                        try watch.claimed.requireWriting()
                        return try db.append(alone: event) ? .committed([event]) : .versionConflict(append.stream)
                    }
                    return try connection.transaction(until: deadline) {
                        let outcome = try CommitSQL(db: db).apply(commit)
                        guard case .committed(let events) = outcome else { return (keep: false, value: outcome) }
                        appended.withLock { $0 = events }
                        // It may have waited for long, for a connection or for another commit.
                        try watch.claimed.requireWriting()
                        return (keep: true, value: outcome)
                    }
                }
            }
        } catch let error as PostgresError where error.code == .outcomeUnknown {
            outcome = try await foundOut(appended.withLock { $0 }, until: end, error)
        } catch {
            throw EventStoreError(translatingPostgres: error)
        }
        if case .committed(let events) = outcome, !events.isEmpty { watch.wake() }
        return outcome
    }

    package func events(after cursor: Cursor?, matching filter: EventFilter, limit: Int)
        async throws(EventStoreError) -> EventPage
    {
        try await read { try PostgresLog(db: $0).page(after: cursor, matching: filter, limit: limit) }
    }

    package func waitForEvents(after cursor: Cursor?, timeout: Duration) async {
        guard let start = try? TransactionPlace(cursor) else { return }
        await signal.wait(past: start, timeout: timeout)
    }

    /// Looks whether a commit that the server did not answer to took effect: its caller would else have to think that it
    /// may or may not have made a compute. Goes on also when that was cancelled, as the commit did.
    /// - Throws: `.unavailable` when that cannot be found out in time, or it did not (yet).
    private func foundOut(
        _ events: [RecordedEvent], until deadline: ContinuousClock.Instant, _ reason: PostgresError
    ) async throws(EventStoreError) -> CommitOutcome {
        var noes = 0
        while let first = events.first, ContinuousClock.now < deadline, noes < 10 {
            // A position may be given again after a crash, when nothing of the first transaction is left.
            let found = try? await pool.run(isCancellable: false, until: deadline) { connection, deadline in
                try PostgresSQLConnection(connection: connection, deadline: deadline).readRows(
                    sql: """
                        SELECT count(*) AS count FROM events
                        WHERE stream_id = :stream AND version = :version AND global_position = :position
                        AND data = :data AND metadata = :metadata
                        """,
                    arguments: [
                        "stream": first.stream.rawValue, "version": first.version, "position": first.position,
                        "data": try jsonText(first.data), "metadata": try jsonText(first.metadata.document),
                    ]
                ) { try $0.required("count") as Int }[0]
            }
            if found == 1 { return .committed(events) }
            if found == 0 { noes += 1 }
            // A server that was started again has ended what its predecessor left; where only the connection broke, the
            // transaction may be at work for another moment. In a task of its own: a cancelled one does not sleep.
            await Task { try? await Task.sleep(for: .milliseconds(50)) }.value
        }
        throw EventStoreError(translatingPostgres: reason)
    }

    /// Decides again when another commit came in between: what it did can be seen then, and is the outcome. Each time
    /// somebody else got on, so that a handful is enough.
    private static func repeating<T>(_ work: () throws -> T) throws -> T {
        for _ in 1..<8 {
            do { return try work() } catch let error as PostgresError where error.isConflict {}
        }
        return try work()
    }
}

extension EventStoreError {
    /// What a failure of PostgreSQL's means to the callers of the port.
    init(translatingPostgres error: any Error) {
        switch error {
        case let error as EventStoreError: self = error
        case let error as PostgresError:
            switch (error.code, error.sqlState) {
            case (_, "53100"): self.init(.unavailable, "the database's disk is full", cause: error)
            case (_, "XX001"), (_, "XX002"): self.init(.corrupt, "the database is damaged", cause: error)
            case (.deadlineExceeded, _), (.cancelled, _):
                self.init(.unavailable, "the database is too slow", cause: error)
            case (.overloaded, _): self.init(.unavailable, "too much is waiting for the database", cause: error)
            case (.outcomeUnknown, _):
                self.init(.unavailable, "the database did not say whether it committed", cause: error)
            default: self.init(.unavailable, "the database cannot do its work", cause: error)
            }
        default: self.init(.unavailable, "the database cannot do its work", cause: error)
        }
    }
}
