package import ComputeCore
package import ComputeDomain
import Dispatch
package import EventSourcing
import GRDB

/// The event store in one SQLite file: the default, where one process is enough.
///
/// Nothing here blocks the threads that async code runs on: GRDB has a queue for writing and a pool for reading. Nobody else
/// writes the file (the data folder is locked), so what each request reads is kept until this store writes (`RecentReads`).
package final class SQLiteEventStore: SQLEventStore {
    private let pool: DatabasePool
    private let commits: CommitQueue
    private let signal: AppendSignal<PositionCursor>
    private let writes: WriteCount
    // What each request to the API asks for.
    private let recentChains: RecentReads<AccessRecord.ID, [AccessRecord]>
    private let recentKeys: RecentReads<String, KeyFinding>
    private let recentSummaries: RecentReads<SummaryKey, ComputeSummary>

    private struct SummaryKey: Hashable {
        var id: ComputeID
        var group: GroupID?
    }

    /// - Parameter isOnlyWriter: whether nobody else writes the file meanwhile.
    private init(pool: DatabasePool, head: PositionCursor, isOnlyWriter: Bool) {
        self.pool = pool
        self.signal = AppendSignal(latest: head)
        writes = WriteCount()
        commits = CommitQueue(pool: pool, writes: writes)
        let most = isOnlyWriter ? 4096 : 0
        recentChains = RecentReads(writes, most: most)
        recentKeys = RecentReads(writes, most: most)
        recentSummaries = RecentReads(writes, most: most, weight: \.kilobytes)
    }

    /// Opens the database, makes it if there is none, and brings its schema up to date; with `migrates: false` it must be
    /// there and up to date, and somebody else may be at work on it.
    /// - Throws: `.corrupt` for a file that is no database of ours, or one of a newer version; `.unavailable`.
    package static func open(at path: String, migrates: Bool = true, now: WallTime) async throws(EventStoreError)
        -> SQLiteEventStore
    {
        do {
            return try await offload { try openBlocking(at: path, migrates: migrates, now: now) }
        } catch {
            throw EventStoreError(translating: error)
        }
    }

    private static func openBlocking(at path: String, migrates: Bool, now: WallTime) throws -> SQLiteEventStore {
        try DatabaseFile.prepare(at: path, makes: migrates)
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
            let connection = SQLiteConnection(db: db)
            // With the write lock from its start: a second process that starts now waits for it.
            try db.inTransaction(.immediate) {
                try Migrator(db: connection, dialect: .sqlite).migrate(now: now, applies: migrates)
                return .commit
            }
            return SQLiteEventStore(
                pool: pool, head: try SQLiteLog(db: connection).head() ?? .start, isOnlyWriter: migrates)
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

    package func read<T: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> T)
        async throws(EventStoreError) -> T
    {
        do {
            return try await pool.read { try work(SQLiteConnection(db: $0)) }
        } catch {
            throw EventStoreError(translating: error)
        }
    }

    package func write<T: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> T)
        async throws(EventStoreError) -> T
    {
        do {
            return try await pool.writeWithoutTransaction { [writes] db in
                // Here and not behind the wait, which a cancelled task may leave early.
                defer { writes.advance() }
                var value: T?
                try db.inTransaction(.immediate) {
                    value = try work(SQLiteConnection(db: db))
                    return .commit
                }
                guard let value else { throw EventStoreError(.unavailable, "the work was not carried out") }
                return value
            }
        } catch {
            throw EventStoreError(translating: error)
        }
    }

    package func commit(_ commit: Commit) async throws(EventStoreError) -> CommitOutcome {
        let outcome = try await commits.commit(commit)
        if case .committed(let events) = outcome, let last = events.last {
            signal.advance(to: PositionCursor(position: last.position))
        }
        return outcome
    }

    package func events(after cursor: EventSourcing.Cursor?, matching filter: EventFilter, limit: Int)
        async throws(EventStoreError) -> EventPage
    {
        try await read { try SQLiteLog(db: $0).page(after: cursor, matching: filter, limit: limit) }
    }

    package func waitForEvents(after cursor: EventSourcing.Cursor?, timeout: Duration) async {
        guard let start = try? PositionCursor(cursor) else { return }
        await signal.wait(past: start, timeout: timeout)
    }

    // MARK: - Kept for a moment

    package func chain(_ id: AccessRecord.ID) async throws(EventStoreError) -> [AccessRecord] {
        try await recentChains.value(id) { () async throws(EventStoreError) in
            let chain = try await read { try AccessSQL(db: $0).chain(id) }
            return chain.isEmpty ? nil : chain
        } ?? []
    }

    package func chain(keyHash: String) async throws(EventStoreError) -> KeyFinding? {
        try await recentKeys.value(keyHash) { () async throws(EventStoreError) in
            try await read { try AccessSQL(db: $0).chain(keyHash: keyHash) }
        }
    }

    package func summary(_ id: ComputeID, in group: GroupID?) async throws(EventStoreError) -> ComputeSummary? {
        try await recentSummaries.value(SummaryKey(id: id, group: group)) { () async throws(EventStoreError) in
            try await read { try SummarySQL(db: $0).summary(id, in: group) }
        }
    }

    /// Makes the read models anew from the log.
    /// - Returns: how many events there are.
    package func rebuild() async throws(EventStoreError) -> Int {
        try await write { try Rebuild(log: SQLiteLog(db: $0)).run() }
    }
}

extension ComputeSummary {
    /// About how much memory it takes, at least 1: what its owner may make large is counted. In memory each value of a JSON
    /// text takes some ten times its bytes.
    fileprivate var kilobytes: Int {
        let blocks = network.allowOut.count + network.denyOut.count
        return 1 + (JSONValue.object(metadata).roughSize * 12 + blocks * 96) >> 10
    }
}
