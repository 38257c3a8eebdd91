import ComputeCore
import ComputeDomain
import EventSourcing

/// Secrets: the read model, and the sealed values beside it.
struct SecretSQL {
    let db: any SQLConnection

    // MARK: - What a commit changes

    func update(_ event: RecordedEvent) throws {
        guard let name = try SecretSummary.subject(of: event) else { return }
        guard let row = try SecretSummary.applying(event, to: try secret(name, in: event.group)) else {
            try db.run(
                sql: "DELETE FROM secret_summaries WHERE group_id = :group AND name = :name",
                arguments: ["group": event.group.rawValue, "name": name.rawValue])
            return
        }
        try db.run(
            sql: """
                INSERT INTO secret_summaries (group_id, name, version, created_at, updated_at)
                VALUES (:group, :name, :version, :created_at, :updated_at)
                ON CONFLICT (group_id, name) DO UPDATE SET
                version = excluded.version, updated_at = excluded.updated_at
                """,
            arguments: [
                "group": row.group.rawValue, "name": row.name.rawValue, "version": row.version,
                "created_at": row.createdAt.milliseconds, "updated_at": row.updatedAt.milliseconds,
            ])
    }

    func apply(_ change: SecretValueChange) throws {
        switch change {
        case .put(let row):
            try db.run(
                sql: """
                    INSERT INTO secret_values (group_id, name, version, master_key, wrapped_key, ciphertext)
                    VALUES (:group, :name, :version, :master_key, :wrapped_key, :ciphertext)
                    ON CONFLICT (group_id, name, version) DO UPDATE SET master_key = excluded.master_key,
                    wrapped_key = excluded.wrapped_key, ciphertext = excluded.ciphertext
                    """,
                arguments: Self.arguments(row, with: ["ciphertext": row.ciphertext.base64URL]))
        case .forget(let group, let name, let version):
            try db.run(
                sql: "DELETE FROM secret_values WHERE group_id = :group AND name = :name AND version <= :version",
                arguments: ["group": group.rawValue, "name": name.rawValue, "version": version])
        case .rewrap(let row, let former):
            try db.run(
                sql: """
                    UPDATE secret_values SET master_key = :master_key, wrapped_key = :wrapped_key
                    WHERE group_id = :group AND name = :name AND version = :version AND master_key = :former
                    """,
                arguments: Self.arguments(row, with: ["former": former]))
        }
    }

    private static func arguments(_ row: SecretValueRow, with more: SQLArguments) -> SQLArguments {
        var arguments = arguments(row.key)
        arguments += ["master_key": row.masterKey, "wrapped_key": row.wrappedKey.base64URL]
        arguments += more
        return arguments
    }

    private static func arguments(_ key: SecretValueRow.Key) -> SQLArguments {
        ["group": key.group.rawValue, "name": key.name.rawValue, "version": key.version]
    }

    // MARK: - Reading

    func secret(_ name: SecretName, in group: GroupID) throws -> SecretSummary? {
        try summaries(
            "group_id = :group AND name = :name", ["group": group.rawValue, "name": name.rawValue]
        ).first
    }

    func page(in group: GroupID, after cursor: Cursor?, limit: Int) throws -> SecretPage {
        let limit = min(max(limit, 1), 1000)
        let after = try cursor.map { try SecretCursor($0).name.rawValue } ?? ""
        let found = try summaries(
            "group_id = :group AND name > :after ORDER BY name LIMIT :limit",
            ["group": group.rawValue, "after": after, "limit": limit + 1])
        return SecretPage(found, limit: limit)
    }

    func value(_ key: SecretValueRow.Key) throws -> SecretValueRow? {
        try db.readRows(
            sql: """
                SELECT group_id, name, version, master_key, wrapped_key, ciphertext FROM secret_values
                WHERE group_id = :group AND name = :name AND version = :version
                """, arguments: Self.arguments(key)
        ) {
            SecretValueRow(
                key: try SecretValueRow.Key(row: $0), masterKey: try $0.required("master_key"),
                wrappedKey: try $0.requiredParsed("wrapped_key") { [UInt8](base64URL: $0) },
                ciphertext: try $0.requiredParsed("ciphertext") { [UInt8](base64URL: $0) })
        }.first
    }

    /// First the keys, which an index holds, so that a start over a million values that need nothing reads none of them.
    func values(notUnder masterKey: String, after key: SecretValueRow.Key?, limit: Int) throws -> [SecretValueRow] {
        var arguments: SQLArguments = ["master_key": masterKey, "limit": min(max(limit, 1), 100)]
        if let key { arguments += Self.arguments(key) }
        let place = key == nil ? "" : "AND (group_id, name, version) > (:group, :name, :version)"
        let keys = try db.readRows(
            sql: """
                SELECT group_id, name, version FROM secret_values WHERE master_key <> :master_key \(place)
                ORDER BY group_id, name, version LIMIT :limit
                """, arguments: arguments, SecretValueRow.Key.init(row:))
        return try keys.compactMap(value)
    }

    private func summaries(_ conditions: String, _ arguments: SQLArguments) throws -> [SecretSummary] {
        try db.readRows(
            sql: """
                SELECT group_id, name, version, created_at, updated_at FROM secret_summaries WHERE \(conditions)
                """, arguments: arguments
        ) { row in
            let key = try SecretValueRow.Key(row: row)
            return SecretSummary(
                group: key.group, name: key.name, version: key.version,
                createdAt: WallTime(milliseconds: try row.required("created_at")),
                updatedAt: WallTime(milliseconds: try row.required("updated_at")))
        }
    }
}

extension SecretValueRow.Key {
    fileprivate init(row: any SQLRow) throws {
        self.init(
            group: GroupID(try row.required("group_id")), name: try row.requiredParsed("name") { SecretName($0) },
            version: try row.required("version"))
    }
}
