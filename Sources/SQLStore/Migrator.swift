import ComputeCore
import EventSourcing
import GRDB

/// Brings a database to the schema of this version, or refuses it.
///
/// Everything happens in one transaction that holds the write lock from its start, so that two processes that start
/// at once do it once, and a crash in the middle leaves the database as it was.
struct Migrator {
    var migrations = Migration.all

    func migrate(_ db: Database, now: WallTime) throws {
        try db.inTransaction(.immediate) {
            let applied = try applied(db)
            try check(applied)
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

    private func applied(_ db: Database) throws -> [(number: Int64, checksum: String)] {
        if try db.tableExists("schema_migrations") {
            return try db.readRows(sql: "SELECT number, checksum FROM schema_migrations ORDER BY number") { row in
                (try row.required("number"), try row.required("checksum"))
            }
        }
        // A file of some other program is not ours to write into.
        let tables = try db.readRows(sql: "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite~_%' ESCAPE '~'") {
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

    private func check(_ applied: [(number: Int64, checksum: String)]) throws(EventStoreError) {
        if let newest = applied.last, newest.number > Int64(migrations.last?.number ?? 0) {
            throw EventStoreError(
                .corrupt,
                """
                the database has schema \(newest.number), this version knows up to \(migrations.last?.number ?? 0): \
                it was written by a newer version, which is the one to start
                """)
        }
        for (migration, found) in zip(migrations, applied) {
            guard found.number == Int64(migration.number), found.checksum == migration.checksum else {
                throw EventStoreError(
                    .corrupt, "schema step \(found.number) of the database is not the one that this version knows")
            }
        }
    }
}
