import EventSourcing

/// A step of the schema that a database has taken.
struct AppliedMigration: Sendable {
    var number: Int64
    var checksum: String

    static func all(in db: any SQLConnection) throws -> [AppliedMigration] {
        try db.readRows(sql: "SELECT number, checksum FROM schema_migrations ORDER BY number") { row in
            AppliedMigration(number: try row.required("number"), checksum: try row.required("checksum"))
        }
    }

    /// - Throws: `.corrupt` for a database of a newer version, or one that was made by other steps than `migrations`.
    static func check(_ applied: [AppliedMigration], against migrations: [Migration]) throws(EventStoreError) {
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
