import ComputeCore
import EventSourcing

/// Brings a database to the schema of this version, or refuses it.
///
/// Within one transaction, which keeps out every other one that does this: of several processes that start at once one
/// does it and the others find it done, and a crash in the middle leaves the database as it was.
struct Migrator {
    let db: any SQLConnection
    let dialect: SQLDialect

    /// - Parameter applies: false only looks whether everything is done.
    /// - Returns: how many steps were taken.
    @discardableResult
    func migrate(now: WallTime, applies: Bool = true) throws -> Int {
        let migrations = Migration.all(in: dialect)
        let applied = try applied()
        try AppliedMigration.check(applied, against: migrations)
        let missing = migrations.dropFirst(applied.count)
        guard applies || missing.isEmpty else {
            throw EventStoreError(
                .unavailable,
                "the database lacks \(missing.count) schema steps; run `api migrate`, or let the start do it")
        }
        for migration in missing {
            try db.run(script: migration.sql)
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
        return missing.count
    }

    private func applied() throws -> [AppliedMigration] {
        let tables = try db.readRows(sql: dialect.tables) { try $0.required("name") as String }
        if tables.contains("schema_migrations") { return try AppliedMigration.all(in: db) }
        // What belongs to some other program is not ours to write into.
        guard tables.isEmpty else {
            throw EventStoreError(.corrupt, "the database holds tables of another program, such as \(tables[0])")
        }
        try db.run(
            script: """
                CREATE TABLE schema_migrations (
                  number \(dialect.integer) NOT NULL PRIMARY KEY,
                  name TEXT NOT NULL,
                  checksum TEXT NOT NULL,
                  applied_at \(dialect.integer) NOT NULL
                )\(dialect.table)
                """)
        return []
    }
}
