import ComputeCore
import EventSourcing
import PostgresClient

/// Brings a PostgreSQL database to the schema of this version, or refuses it.
///
/// One transaction, under a lock that every instance of ours takes for this: of several that start at once one does it,
/// and the others find it done.
struct PostgresMigrator {
    var migrations = Migration.postgres

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
            let applied = try applied(db)
            try AppliedMigration.check(applied, against: migrations)
            let missing = migrations.dropFirst(applied.count)
            guard applies || missing.isEmpty else {
                throw EventStoreError(
                    .unavailable,
                    "the database lacks \(missing.count) schema steps; run `api migrate`, or let the start do it")
            }
            for migration in missing {
                try connection.run(script: migration.sql, until: deadline)
                try db.run(
                    sql: """
                        INSERT INTO schema_migrations (number, name, checksum, applied_at)
                        VALUES (:number, :name, :checksum, :applied_at)
                        """,
                    arguments: [
                        "number": migration.number, "name": migration.name, "checksum": migration.checksum,
                        "applied_at": now.milliseconds,
                    ])
            }
            return (keep: true, value: missing.count)
        }
    }

    private func applied(_ db: PostgresSQLConnection) throws -> [AppliedMigration] {
        let tables = try db.readRows(
            sql: "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename"
        ) { try $0.required("tablename") as String }
        if tables.contains("schema_migrations") { return try AppliedMigration.all(in: db) }
        // A database of some other program is not ours to write into.
        guard tables.isEmpty else {
            throw EventStoreError(.corrupt, "the database holds tables of another program, such as \(tables[0])")
        }
        try db.run(
            sql: """
                CREATE TABLE schema_migrations (
                  number BIGINT NOT NULL PRIMARY KEY,
                  name TEXT NOT NULL,
                  checksum TEXT NOT NULL,
                  applied_at BIGINT NOT NULL
                )
                """, arguments: [:])
        return []
    }
}
