package import ComputeCore
package import ComputeDomain
import Dispatch
package import EventSourcing
import GRDB

/// The event store in one SQLite file: the default, where one process is enough.
///
/// Nothing here blocks the threads that async code runs on: GRDB has a queue for writing and a pool for reading.
package final class SQLiteEventStore: EventStore, ComputeSummaries, SessionSummaries {
    private let pool: DatabasePool
    private let commits: CommitQueue
    private let signal: AppendSignal

    private init(pool: DatabasePool, lastPosition: Int64) {
        self.pool = pool
        self.commits = CommitQueue(pool: pool)
        self.signal = AppendSignal(latest: lastPosition)
    }

    /// Opens the database, makes it if there is none, and brings its schema up to date.
    /// - Throws: `.corrupt` for a file that is no database of ours, or one of a newer version; `.unavailable`.
    package static func open(at path: String, now: WallTime) async throws(EventStoreError) -> SQLiteEventStore {
        do {
            return try await offload { try openBlocking(at: path, now: now) }
        } catch {
            throw EventStoreError(translating: error)
        }
    }

    private static func openBlocking(at path: String, now: WallTime) throws -> SQLiteEventStore {
        try DatabaseFile.prepare(at: path)
        var configuration = Configuration()
        configuration.label = "events"
        configuration.foreignKeysEnabled = true
        // Only another program can hold the lock (a backup, a person with sqlite3): longer than that is a fault.
        configuration.busyMode = .timeout(5)
        let pool = try DatabasePool(path: path, configuration: configuration)
        return try pool.writeWithoutTransaction { db in
            // GRDB chose NORMAL, which may lose the last commits when the power fails: an acknowledged commit is on
            // disk. It is a property of this connection, the only one that writes.
            try db.execute(sql: "PRAGMA synchronous = FULL")
            guard try Int.fetchOne(db, sql: "PRAGMA synchronous") == 2 else {
                throw EventStoreError(.unavailable, "the database does not offer durable commits")
            }
            try Migrator().migrate(db, now: now)
            return SQLiteEventStore(pool: pool, lastPosition: try EventSQL(db: db).lastPosition())
        }
    }

    /// Ends what is under way and closes the file. Every later call throws `.unavailable`.
    package func close() async throws(EventStoreError) {
        do {
            try await Self.offload { [pool] in try pool.close() }
        } catch {
            throw EventStoreError(translating: error)
        }
    }

    private static func offload<T: Sendable>(_ work: @escaping @Sendable () throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(with: Result(catching: work)) }
        }
    }

    private func read<T: Sendable>(_ work: @escaping @Sendable (Database) throws -> T) async throws(EventStoreError)
        -> T
    {
        do {
            return try await pool.read(work)
        } catch {
            throw EventStoreError(translating: error)
        }
    }

    // MARK: - EventStore

    package func commit(_ commit: Commit) async throws(EventStoreError) -> CommitOutcome {
        let outcome = try await commits.commit(commit)
        if case .committed(let events) = outcome, let last = events.last { signal.advance(to: last.position) }
        return outcome
    }

    package func events(of stream: StreamID) async throws(EventStoreError) -> [RecordedEvent] {
        try await read { try EventSQL(db: $0).events(of: stream) }
    }

    package func events(after cursor: EventSourcing.Cursor?, matching filter: EventFilter, limit: Int)
        async throws(EventStoreError)
        -> EventPage
    {
        try await read { try EventSQL(db: $0).page(after: cursor, matching: filter, limit: limit) }
    }

    package func waitForEvents(after cursor: EventSourcing.Cursor?, timeout: Duration) async {
        guard let start = try? PositionCursor(cursor) else { return }
        await signal.wait(past: start.position, timeout: timeout)
    }

    package func holder(of key: UniqueKey) async throws(EventStoreError) -> UniqueHold? {
        try await read { try CommitSQL(db: $0).holder(of: key) }
    }

    package func counter(_ name: CounterName) async throws(EventStoreError) -> Int64 {
        try await read { try CommitSQL(db: $0).counter(name) }
    }

    package func privateRow(kind: String, key: String) async throws(EventStoreError) -> PrivateRow? {
        try await read { try CommitSQL(db: $0).privateRow(kind: kind, key: key) }
    }

    // MARK: - ComputeSummaries

    package func summary(_ id: ComputeID, in group: GroupID?) async throws(EventStoreError) -> ComputeSummary? {
        try await read { try SummarySQL(db: $0).summary(id, in: group) }
    }

    package func summaries(
        in group: GroupID, matching filter: SummaryFilter, after cursor: EventSourcing.Cursor?, limit: Int
    )
        async throws(EventStoreError) -> SummaryPage
    {
        try await read { try SummarySQL(db: $0).page(in: group, matching: filter, after: cursor, limit: limit) }
    }

    package func named(_ name: String, namespace: String, in group: GroupID) async throws(EventStoreError)
        -> ComputeSummary?
    {
        try await read { try SummarySQL(db: $0).named(name, namespace: namespace, in: group) }
    }

    package func running(expiringBefore time: WallTime, limit: Int) async throws(EventStoreError) -> [ComputeSummary] {
        try await read { try SummarySQL(db: $0).running(expiringBefore: time, limit: limit) }
    }

    package func unended(after id: ComputeID?, limit: Int) async throws(EventStoreError) -> [ComputeSummary] {
        try await read { try SummarySQL(db: $0).unended(after: id, limit: limit) }
    }

    // MARK: - SessionSummaries

    package func session(_ id: SessionID) async throws(EventStoreError) -> SessionSummary? {
        try await read { try SessionSQL(db: $0).session(id) }
    }

    package func sessions(of id: ComputeID, goodAt time: WallTime, limit: Int) async throws(EventStoreError)
        -> [SessionSummary]
    {
        try await read { try SessionSQL(db: $0).sessions(of: id, goodAt: time, limit: limit) }
    }

    package func revokedSessionCount(of id: ComputeID, at time: WallTime) async throws(EventStoreError) -> Int {
        try await read { try SessionSQL(db: $0).revokedCount(of: id, at: time) }
    }

    package func noteUses(_ uses: [SessionID: WallTime]) async throws(EventStoreError) {
        do {
            try await pool.write { try SessionSQL(db: $0).noteUses(uses) }
        } catch {
            throw EventStoreError(translating: error)
        }
    }
}
