import ComputeCore
import ComputeDomain
import EventSourcing

/// The read model of session tokens.
struct SessionSQL {
    let db: any SQLConnection

    /// What an event changes here.
    func update(_ event: RecordedEvent) throws {
        switch event.stream.category {
        case StreamID.computeCategory where event.type == ComputeEvent.TypeName.ended.rawValue:
            try db.run(
                sql: "DELETE FROM session_summaries WHERE compute_id = :id", arguments: ["id": event.stream.id])
        case StreamID.sessionCategory:
            // Those of all computes: who made a token as its compute ended left one that nothing else would find.
            try db.run(
                sql: "DELETE FROM session_summaries WHERE expires_at <= :now",
                arguments: ["now": event.occurredAt.milliseconds])
            guard let id = SessionID(event.stream.id),
                let row = try SessionSummary.applying(event, to: try session(id))
            else { return }
            try put(row)
        default: break
        }
    }

    func session(_ id: SessionID) throws -> SessionSummary? {
        try rows("session_id = :id", ["id": id.rawValue]).first
    }

    func sessions(of id: ComputeID, goodAt time: WallTime, limit: Int) throws -> [SessionSummary] {
        try rows(
            """
            compute_id = :id AND expires_at > :time AND revoked_at IS NULL
            ORDER BY created_at, session_id LIMIT :limit
            """,
            ["id": id.rawValue, "time": time.milliseconds, "limit": min(max(limit, 1), 1000)])
    }

    func revokedCount(of id: ComputeID, at time: WallTime) throws -> Int {
        try db.readRows(
            sql: """
                SELECT count(*) AS count FROM session_summaries
                WHERE compute_id = :id AND expires_at > :time AND revoked_at IS NOT NULL
                """, arguments: ["id": id.rawValue, "time": time.milliseconds]
        ) { try $0.required("count") as Int }[0]
    }

    func noteUses(_ uses: [SessionID: WallTime]) throws {
        // In one order, so that two who note the same tokens never wait for each other.
        for (id, time) in uses.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            try db.run(
                sql: """
                    UPDATE session_summaries SET last_used_at = :time
                    WHERE session_id = :id AND coalesce(last_used_at, 0) <= :time
                    """,
                arguments: ["id": id.rawValue, "time": time.milliseconds])
        }
    }

    private func rows(_ conditions: String, _ arguments: SQLArguments) throws -> [SessionSummary] {
        try db.readRows(
            sql: "SELECT \(Self.columns.joined(separator: ", ")) FROM session_summaries WHERE \(conditions)",
            arguments: arguments, SessionSummary.init(row:))
    }

    /// But for the last use of a row that is there, which no event says: it may have been noted since the row was read.
    private func put(_ row: SessionSummary) throws {
        let updated = Self.columns.dropFirst().filter { $0 != "last_used_at" }
        try db.run(
            sql: """
                INSERT INTO session_summaries (\(Self.columns.joined(separator: ", ")))
                VALUES (\(Self.columns.map { ":\($0)" }.joined(separator: ", ")))
                ON CONFLICT (session_id) DO UPDATE SET
                \(updated.map { "\($0) = excluded.\($0)" }.joined(separator: ", "))
                """, arguments: try row.arguments())
    }

    private static let columns = [
        "session_id", "compute_id", "group_id", "description", "magic_link_id", "created_at", "expires_at",
        "revoked_at", "last_used_at", "version",
    ]
}

extension SessionSummary {
    fileprivate func arguments() throws -> SQLArguments {
        [
            "session_id": id.rawValue, "compute_id": grant.computeID.rawValue, "group_id": group.rawValue,
            // As JSON, because a text of SQLite is read up to its first NUL.
            "description": try jsonText(grant.description),
            "magic_link_id": grant.magicLink?.rawValue,
            "created_at": grant.createdAt.milliseconds, "expires_at": grant.expiresAt.milliseconds,
            "revoked_at": revokedAt?.milliseconds, "last_used_at": lastUsedAt?.milliseconds, "version": version,
        ]
    }

    fileprivate init(row: any SQLRow) throws {
        let createdAt = WallTime(milliseconds: try row.required("created_at"))
        self.init(
            id: try row.requiredParsed("session_id") { SessionID($0) }, group: GroupID(try row.required("group_id")),
            grant: SessionGrant(
                computeID: try row.requiredParsed("compute_id") { ComputeID($0) },
                description: try row.jsonString("description"),
                magicLink: try row.parsed("magic_link_id") { MagicLinkID($0) }, createdAt: createdAt,
                lifetime: WallTime(milliseconds: try row.required("expires_at")) - createdAt),
            revokedAt: try row.time("revoked_at"), lastUsedAt: try row.time("last_used_at"),
            version: try row.required("version"))
    }
}
