import ComputeCore
import EventSourcing

/// Where readers of the log are.
struct ConsumerSQL {
    let db: any SQLConnection

    func checkpoint(of consumer: String) throws -> Cursor? {
        try db.readRows(
            sql: "SELECT checkpoint FROM consumers WHERE name = :name", arguments: ["name": consumer]
        ) { try $0.optional("checkpoint") as String? }.first?.map { Cursor(rawValue: $0) }
    }

    func save(_ checkpoint: Cursor, of consumer: String, at now: WallTime) throws {
        try db.run(
            sql: """
                INSERT INTO consumers (name, checkpoint, updated_at) VALUES (:name, :checkpoint, :now)
                ON CONFLICT (name) DO UPDATE SET checkpoint = excluded.checkpoint, updated_at = excluded.updated_at
                """,
            arguments: ["name": consumer, "checkpoint": checkpoint.rawValue, "now": now.milliseconds])
    }

    func forget(_ consumer: String) throws {
        try db.run(sql: "DELETE FROM consumers WHERE name = :name", arguments: ["name": consumer])
    }

    func lease(_ consumer: String, for owner: String, at now: WallTime, until end: WallTime) throws -> Bool {
        // One statement, so that of two who come at once the database lets one through.
        try !db.readRows(
            sql: """
                INSERT INTO consumers (name, lease_owner, lease_until, updated_at) VALUES (:name, :owner, :until, :now)
                ON CONFLICT (name) DO UPDATE SET
                lease_owner = excluded.lease_owner, lease_until = excluded.lease_until, updated_at = excluded.updated_at
                WHERE coalesce(consumers.lease_until, 0) <= excluded.updated_at
                OR consumers.lease_owner = excluded.lease_owner
                RETURNING name
                """,
            arguments: ["name": consumer, "owner": owner, "until": end.milliseconds, "now": now.milliseconds]
        ) { try $0.required("name") as String }.isEmpty
    }

    /// And stays so until the end of the transaction.
    func isLeased(_ consumer: String, by owner: String) throws -> Bool {
        try !db.readRows(
            sql: """
                UPDATE consumers SET updated_at = updated_at WHERE name = :name AND lease_owner = :owner
                RETURNING name
                """, arguments: ["name": consumer, "owner": owner]
        ) { try $0.required("name") as String }.isEmpty
    }

    func release(_ consumer: String, by owner: String, at now: WallTime) throws {
        try db.run(
            sql: """
                UPDATE consumers SET lease_owner = NULL, lease_until = NULL, updated_at = :now
                WHERE name = :name AND lease_owner = :owner
                """,
            arguments: ["name": consumer, "owner": owner, "now": now.milliseconds])
    }
}
