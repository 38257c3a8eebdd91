import ComputeCore
import ComputeDomain
import EventSourcing

/// The read model of who may do what.
struct AccessSQL {
    let db: any SQLConnection

    /// What an event changes here.
    func update(_ event: RecordedEvent) throws {
        for change in try AccessRecord.changes(event, current: record) {
            switch change {
            case .put(let record): try put(record)
            case .remove(let id):
                try db.run(
                    sql: "DELETE FROM access_records WHERE kind = :kind AND id = :id",
                    arguments: ["kind": id.kind.rawValue, "id": id.id])
            case .removeAll(let group):
                // By kind, as the index is.
                for kind in AccessRecord.Kind.allCases {
                    try db.run(
                        sql: "DELETE FROM access_records WHERE kind = :kind AND group_id = :group",
                        arguments: ["kind": kind.rawValue, "group": group.rawValue])
                }
            case .forgetSessions(let now):
                try db.run(
                    sql: "DELETE FROM access_records WHERE kind = :kind AND expires_at <= :now",
                    arguments: ["kind": AccessRecord.Kind.session.rawValue, "now": now.milliseconds])
            }
        }
    }

    func record(_ id: AccessRecord.ID) throws -> AccessRecord? {
        try rows("kind = :kind AND id = :id", ["kind": id.kind.rawValue, "id": id.id]).first
    }

    func chain(_ id: AccessRecord.ID) throws -> [AccessRecord] {
        var (chain, next) = ([AccessRecord](), Optional(id))
        while let id = next, chain.count < AccessRecord.longestChain, let record = try record(id) {
            chain.append(record)
            next = record.ownerID
        }
        return chain
    }

    /// From here to the end of the transaction nobody else who changes the access to the group gets through: each of them
    /// begins with this row of it.
    func uphold(_ standing: Standing, at now: WallTime) throws -> Bool {
        try db.run(
            sql: "UPDATE access_records SET created_at = created_at WHERE kind = :kind AND id = :id",
            arguments: ["kind": AccessRecord.Kind.group.rawValue, "id": standing.group.rawValue])
        guard let id = AccessRecord.ID(standing.credential) else { return false }
        return try chain(id).uphold(standing, at: now)
    }

    func chain(keyHash: String) throws -> KeyFinding? {
        guard let row = try CommitSQL(db: db).privateRow(kind: PrivateRow.apiKeyKind, key: keyHash),
            let id = row.activeAPIKeyID
        else { return nil }
        return KeyFinding(secret: row.apiKeySecret, chain: try chain(AccessRecord.ID(.key, id)))
    }

    func page(
        _ kind: AccessRecord.Kind, in group: GroupID?, ownedBy owner: String?, after cursor: Cursor?, limit: Int
    ) throws -> AccessPage {
        let limit = min(max(limit, 1), 1000)
        var conditions = "kind = :kind"
        var arguments: SQLArguments = ["kind": kind.rawValue, "limit": limit + 1]
        if let group {
            conditions += " AND group_id = :group"
            arguments += ["group": group.rawValue]
        }
        if let owner {
            conditions += " AND owner = :owner"
            arguments += ["owner": owner]
        }
        if let cursor {
            let place = try AccessCursor(cursor)
            conditions += " AND (created_at > :created_at OR (created_at = :created_at AND id > :id))"
            arguments += ["created_at": place.createdAt.milliseconds, "id": place.id]
        }
        var page = try rows("\(conditions) ORDER BY created_at, id LIMIT :limit", arguments)
        let hasMore = page.count > limit
        if hasMore { page.removeLast() }
        return AccessPage(records: page, next: hasMore ? page.last.map { AccessCursor(after: $0).cursor } : nil)
    }

    func noteAccess(_ uses: [AccessRecord.ID: WallTime]) throws {
        // In one order, so that two who note the same ones never wait for each other.
        for (id, time) in uses.sorted(by: { $0.key.description < $1.key.description }) {
            try db.run(
                sql: """
                    UPDATE access_records SET last_used_at = :time
                    WHERE kind = :kind AND id = :id AND coalesce(last_used_at, 0) <= :time
                    """,
                arguments: ["kind": id.kind.rawValue, "id": id.id, "time": time.milliseconds])
        }
    }

    private func rows(_ conditions: String, _ arguments: SQLArguments) throws -> [AccessRecord] {
        try db.readRows(
            sql: "SELECT \(Self.columns.joined(separator: ", ")) FROM access_records WHERE \(conditions)",
            arguments: arguments, AccessRecord.init(row:))
    }

    private func put(_ row: AccessRecord) throws {
        try db.run(sql: Self.upsert, arguments: try row.arguments())
    }

    private static let columns = [
        "kind", "id", "group_id", "owner", "created_at", "expires_at", "last_used_at", "body",
    ]
    /// The last use is not an event's, so none changes it.
    private static let upsert = """
        INSERT INTO access_records (\(columns.joined(separator: ", ")))
        VALUES (\(columns.map { ":\($0)" }.joined(separator: ", ")))
        ON CONFLICT (kind, id) DO UPDATE SET
        \(columns.dropFirst(2).filter { $0 != "last_used_at" }.map { "\($0) = excluded.\($0)" }.joined(separator: ", "))
        """
}

extension AccessRecord {
    fileprivate func arguments() throws -> SQLArguments {
        [
            "kind": id.kind.rawValue, "id": id.id, "group_id": group.rawValue, "owner": owner,
            "created_at": createdAt.milliseconds, "expires_at": expiresAt?.milliseconds,
            "last_used_at": lastUsedAt?.milliseconds, "body": try jsonText(.object(body)),
        ]
    }

    fileprivate init(row: any SQLRow) throws {
        self.init(
            id: ID(try row.requiredParsed("kind", Kind.init(rawValue:)), try row.required("id")),
            group: GroupID(try row.required("group_id")), owner: try row.optional("owner"),
            createdAt: WallTime(milliseconds: try row.required("created_at")), expiresAt: try row.time("expires_at"),
            lastUsedAt: try row.time("last_used_at"), body: try row.object("body"))
    }
}
