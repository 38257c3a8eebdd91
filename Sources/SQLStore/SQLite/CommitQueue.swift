import EventSourcing
import GRDB
import Synchronization

/// Group commit: commits that wait for the writer share one transaction, and with it one fsync.
///
/// ```
///   commit ──▶ waiting ──▶ BEGIN ─ savepoint per commit ─ COMMIT ──▶ each gets its own outcome
/// ```
/// A commit whose caller was cancelled is still carried out: its outcome is then only not looked at, as if the
/// connection had broken a moment later.
final class CommitQueue: Sendable {
    private struct Waiting: Sendable {
        var commit: Commit
        var continuation: CheckedContinuation<CommitResult, Never>
    }
    private typealias CommitResult = Result<CommitOutcome, EventStoreError>

    private let pool: DatabasePool
    private let writes: WriteCount
    private let waiting = Mutex<[Waiting]>([])

    /// How many commits share a transaction at most: enough to make the fsync cheap, few enough that the first of
    /// them does not wait for long (about 0.1 ms each).
    private static let batchSize = 64

    init(pool: DatabasePool, writes: WriteCount) {
        self.pool = pool
        self.writes = writes
    }

    func commit(_ commit: Commit) async throws(EventStoreError) -> CommitOutcome {
        let result: CommitResult = await withCheckedContinuation { continuation in
            waiting.withLock { $0.append(Waiting(commit: commit, continuation: continuation)) }
            // One call per commit: the first takes what is there, and a later one finds what is left, or nothing.
            pool.asyncWriteWithoutTransaction { db in self.drain(db) }
        }
        return try result.get()
    }

    private func drain(_ db: Database) {
        let batch = waiting.withLock { waiting in
            let batch = Array(waiting.prefix(Self.batchSize))
            waiting.removeFirst(batch.count)
            return batch
        }
        guard !batch.isEmpty else { return }
        let results = Self.results(of: batch.map(\.commit), db)
        writes.advance()
        for (waiting, result) in zip(batch, results) {
            waiting.continuation.resume(returning: result)
        }
    }

    private static func results(of batch: [Commit], _ db: Database) -> [CommitResult] {
        do {
            return try transaction(batch, db)
        } catch {
            // The database gave up on the transaction. Alone, each commit gets the failure that is its own.
            guard batch.count > 1 else { return [.failure(EventStoreError(translating: error))] }
            return batch.flatMap { results(of: [$0], db) }
        }
    }

    /// - Throws: what the database throws; nothing was changed then.
    private static func transaction(_ batch: [Commit], _ db: Database) throws -> [CommitResult] {
        var results: [CommitResult] = []
        // IMMEDIATE: the lock is taken before anything is read, so what was checked still holds when it is written.
        try db.inTransaction(.immediate) {
            for commit in batch { results.append(try savepoint(commit, db)) }
            return .commit
        }
        return results
    }

    private static func savepoint(_ commit: Commit, _ db: Database) throws -> CommitResult {
        var result: CommitResult = .failure(EventStoreError(.unavailable, "the commit was not carried out"))
        do {
            try db.inSavepoint {
                let outcome = try CommitSQL(db: SQLiteConnection(db: db)).apply(commit)
                result = .success(outcome)
                if case .committed = outcome { return .commit }
                return .rollback
            }
        } catch let error as EventStoreError {
            // What is stored does not fit: this commit's own trouble, and its savepoint is rolled back.
            result = .failure(error)
        }
        return result
    }
}
