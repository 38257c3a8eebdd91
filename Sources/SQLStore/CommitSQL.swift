import ComputeCore
import EventSourcing

/// One commit inside a transaction that someone else opened. On any other outcome than `.committed` the caller rolls
/// back what it did so far.
struct CommitSQL {
    let db: any SQLConnection

    func apply(_ commit: Commit) throws -> CommitOutcome {
        if let standing = commit.standing, try !AccessSQL(db: db).uphold(standing, at: commit.occurredAt) {
            return .overtaken
        }
        var recorded: [RecordedEvent] = []
        let metadata = try jsonText(commit.metadata.document)
        for append in commit.appends {
            if append.events.isEmpty, try version(of: append.stream) != append.expectedVersion {
                return .versionConflict(append.stream)
            }
            for (index, event) in append.events.enumerated() {
                let version = append.expectedVersion + index
                guard
                    let event = try insert(event, of: append, after: version, commit: commit, metadata: metadata)
                else { return .versionConflict(append.stream) }
                try ReadModels(db: db).update(event)
                recorded.append(event)
            }
        }
        for release in commit.releases { try self.release(release) }
        for hold in commit.takes {
            if let holder = try take(hold) { return .taken(holder) }
        }
        let counters = CounterSQL(db: db)
        for limit in commit.counterLimits { try counters.set(limit) }
        for move in commit.counterMoves {
            if let limit = try counters.move(move, at: commit.occurredAt) {
                return .overLimit(move.counter, limit: limit)
            }
        }
        for row in commit.privateRows { try put(row, at: commit.occurredAt) }
        for change in commit.secretValues { try SecretSQL(db: db).apply(change) }
        return .committed(recorded)
    }

    func version(of stream: StreamID) throws -> Int {
        try db.readRows(
            sql: "SELECT coalesce(max(version), 0) AS version FROM events WHERE stream_id = :stream",
            arguments: ["stream": stream.rawValue]
        ) { try $0.required("version") as Int }[0]
    }

    /// - Returns: nil where the stream is not at this version: asked by the statement itself, which saves one.
    private func insert(
        _ event: NewEvent, of append: StreamAppend, after version: Int, commit: Commit, metadata: String
    ) throws -> RecordedEvent? {
        var event = append.recorded(event, after: version, at: 0, in: commit)
        let position = try db.readRows(
            sql: Self.insertion(), arguments: try Self.arguments(event, metadata: metadata)
        ) { try $0.required("global_position") as Int64 }.first
        guard let position else { return nil }
        event.position = position
        return event
    }

    /// Inserts an event where its stream is at the version before it, and else nothing.
    /// - Parameter givesPosition: whether its position is a parameter, and not what comes next.
    static func insertion(givesPosition: Bool = false) -> String {
        """
        INSERT INTO events (\(givesPosition ? "global_position, " : "")stream_id, version, group_id, type, schema_version,
        data, metadata, occurred_at) \(givesPosition ? "OVERRIDING SYSTEM VALUE" : "")
        SELECT \(givesPosition ? ":position, " : ""):stream, :version + 1, :group, :type, :schema, :data, :metadata, :occurred_at
        WHERE (SELECT coalesce(max(version), 0) FROM events WHERE stream_id = :stream) = :version
        RETURNING global_position
        """
    }

    /// - Parameter metadata: the event's, as it is stored.
    static func arguments(_ event: RecordedEvent, metadata: String) throws -> SQLArguments {
        [
            "stream": event.stream.rawValue, "version": event.version - 1, "group": event.group.rawValue,
            "type": event.type, "schema": Upcasting.known.schema(of: event.type), "data": try jsonText(event.data),
            "metadata": metadata, "occurred_at": event.occurredAt.milliseconds,
        ]
    }

    private func release(_ release: UniqueRelease) throws {
        try db.run(
            sql:
                "DELETE FROM unique_holds WHERE group_id = :group AND scope = :scope AND key = :key AND owner = :owner",
            arguments: [
                "group": release.key.group.rawValue, "scope": release.key.scope, "key": release.key.key,
                "owner": release.owner,
            ])
    }

    /// - Returns: the other owner that holds it; nil when it is the taker's now.
    private func take(_ hold: UniqueHold) throws -> UniqueHold? {
        if let holder = try holder(of: hold.key) { return holder.owner == hold.owner ? nil : holder }
        try db.run(
            sql: """
                INSERT INTO unique_holds (group_id, scope, key, owner, fingerprint)
                VALUES (:group, :scope, :key, :owner, :fingerprint)
                """,
            arguments: [
                "group": hold.key.group.rawValue, "scope": hold.key.scope, "key": hold.key.key, "owner": hold.owner,
                "fingerprint": hold.fingerprint,
            ])
        return nil
    }

    func holder(of key: UniqueKey) throws -> UniqueHold? {
        try db.readRows(
            sql: """
                SELECT owner, fingerprint FROM unique_holds
                WHERE group_id = :group AND scope = :scope AND key = :key
                """,
            arguments: ["group": key.group.rawValue, "scope": key.scope, "key": key.key]
        ) { UniqueHold(key: key, owner: try $0.required("owner"), fingerprint: try $0.optional("fingerprint")) }.first
    }

    private func put(_ row: PrivateRow, at now: WallTime) throws {
        if row.expiresAt != nil {
            try db.run(
                sql: "DELETE FROM private_rows WHERE expires_at <= :now", arguments: ["now": now.milliseconds])
        }
        try db.run(
            sql: """
                INSERT INTO private_rows (kind, key, group_id, value, expires_at)
                VALUES (:kind, :key, :group, :value, :expires_at)
                ON CONFLICT (kind, key) DO UPDATE SET
                group_id = excluded.group_id, value = excluded.value, expires_at = excluded.expires_at
                """,
            arguments: [
                "kind": row.kind, "key": row.key, "group": row.group.rawValue, "value": try jsonText(row.value),
                "expires_at": row.expiresAt?.milliseconds,
            ])
    }

    func privateRow(kind: String, key: String) throws -> PrivateRow? {
        try db.readRows(
            sql: "SELECT group_id, value, expires_at FROM private_rows WHERE kind = :kind AND key = :key",
            arguments: ["kind": kind, "key": key]
        ) {
            PrivateRow(
                kind: kind, key: key, group: GroupID(try $0.required("group_id")), value: try $0.document("value"),
                expiresAt: try $0.time("expires_at"))
        }.first
    }
}

extension StreamAppend {
    func recorded(_ event: NewEvent, after version: Int, at position: Int64, in commit: Commit) -> RecordedEvent {
        RecordedEvent(
            position: position, stream: stream, version: version + 1, group: group, type: event.type, data: event.data,
            metadata: commit.metadata, occurredAt: commit.occurredAt)
    }
}
