import ComputeCore
import EventSourcing
import GRDB

/// Brings a database file to the schema of this version, or refuses it.
///
/// Everything happens in one transaction that holds the write lock from its start, so that two processes that start
/// at once do it once, and a crash in the middle leaves the database as it was.
struct SQLiteMigrator {
    var migrations = Migration.sqlite

    func migrate(_ db: Database, now: WallTime) throws {
        try db.inTransaction(.immediate) {
            let applied = try applied(db)
            try AppliedMigration.check(applied, against: migrations)
            for migration in migrations.dropFirst(applied.count) {
                try db.execute(sql: migration.sql)
                try db.execute(
                    sql: """
                        INSERT INTO schema_migrations (number, name, checksum, applied_at)
                        VALUES (:number, :name, :checksum, :applied_at)
                        """,
                    arguments: [
                        "number": migration.number, "name": migration.name, "checksum": migration.checksum,
                        "applied_at": now.milliseconds,
                    ])
            }
            return .commit
        }
    }

    private func applied(_ db: Database) throws -> [AppliedMigration] {
        if try db.tableExists("schema_migrations") {
            return try AppliedMigration.all(in: SQLiteConnection(db: db))
        }
        // A file of some other program is not ours to write into.
        let tables = try SQLiteConnection(db: db).readRows(
            sql: "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite~_%' ESCAPE '~'"
        ) {
            try $0.required("name") as String
        }
        guard tables.isEmpty else {
            throw EventStoreError(.corrupt, "the database holds tables of another program, such as \(tables[0])")
        }
        try db.execute(
            sql: """
                CREATE TABLE schema_migrations (
                  number INTEGER NOT NULL PRIMARY KEY,
                  name TEXT NOT NULL,
                  checksum TEXT NOT NULL,
                  applied_at INTEGER NOT NULL
                ) STRICT
                """)
        return []
    }
}
