import ComputeCore
import EventSourcing
import PostgresClient

/// The transaction that a PostgreSQL database is migrated in: under a lock that every instance of ours takes for this.
struct PostgresMigrator {
    /// Any number that nobody else has; it spells "csdk".
    private static let lock: Int64 = 0x6373_646b
    /// For the lock and all steps. Long, because a step may rewrite a big table.
    static let deadline: Duration = .seconds(600)

    /// - Parameter applies: false only looks whether everything is done.
    /// - Returns: how many steps were taken.
    @discardableResult
    func migrate(_ connection: PostgresConnection, now: WallTime, applies: Bool = true) throws -> Int {
        guard connection.serverVersion >= 130_000 else {
            throw EventStoreError(.unavailable, "the server's version is too old: PostgreSQL 13 or newer is needed")
        }
        let deadline = ContinuousClock.now + Self.deadline
        let db = PostgresSQLConnection(connection: connection, deadline: deadline)
        let encoding = try connection.execute("SELECT current_setting('server_encoding') AS name", until: deadline)
        guard try encoding.text(0, "name") == "UTF8" else {
            throw EventStoreError(.unavailable, "the database must have the encoding UTF8")
        }
        return try connection.transaction(until: deadline) {
            // This transaction alone may take longer than others.
            try connection.run(script: "SET LOCAL statement_timeout = 0", until: deadline)
            try connection.execute("SELECT pg_advisory_xact_lock($1)", [.integer(Self.lock)], until: deadline)
            let steps = try Migrator(db: db, dialect: .postgres).migrate(now: now, applies: applies)
            return (keep: true, value: steps)
        }
    }
}
