import ComputeCore
import ComputeDomain
import EventSourcing

/// The read model of webhooks.
struct WebhookSQL {
    let db: any SQLConnection

    /// What an event changes here.
    func update(_ event: RecordedEvent) throws {
        guard event.stream.category == StreamID.webhookCategory, let id = WebhookID(event.stream.id) else { return }
        if let row = try WebhookSummary.applying(event, to: try webhook(id, in: nil)) {
            try put(row)
        } else {
            for table in ["webhooks", "webhook_deliveries"] {
                try db.run(sql: "DELETE FROM \(table) WHERE webhook_id = :id", arguments: ["id": id.rawValue])
            }
            try ConsumerSQL(db: db).forget(WebhookSummary.consumer(id))
        }
    }

    func webhook(_ id: WebhookID, in group: GroupID?) throws -> WebhookSummary? {
        try rows(
            "webhook_id = :id AND (:group IS NULL OR group_id = :group)", ["id": id.rawValue, "group": group?.rawValue]
        ).first
    }

    func webhooks(in group: GroupID, limit: Int) throws -> [WebhookSummary] {
        try rows(
            "group_id = :group ORDER BY created_at, webhook_id LIMIT :limit",
            ["group": group.rawValue, "limit": min(max(limit, 1), 1000)])
    }

    func active(after id: WebhookID?, limit: Int) throws -> [WebhookSummary] {
        try rows(
            "is_active = 1 AND webhook_id > :id ORDER BY webhook_id LIMIT :limit",
            ["id": id?.rawValue ?? "", "limit": min(max(limit, 1), 1000)])
    }

    private func rows(_ conditions: String, _ arguments: SQLArguments) throws -> [WebhookSummary] {
        try db.readRows(
            sql: "SELECT \(Self.columns.joined(separator: ", ")) FROM webhooks WHERE \(conditions)",
            arguments: arguments, WebhookSummary.init(row:))
    }

    private func put(_ row: WebhookSummary) throws {
        try db.run(
            sql: """
                INSERT INTO webhooks (\(Self.columns.joined(separator: ", ")))
                VALUES (\(Self.columns.map { ":\($0)" }.joined(separator: ", ")))
                ON CONFLICT (webhook_id) DO UPDATE SET
                \(Self.columns.dropFirst().map { "\($0) = excluded.\($0)" }.joined(separator: ", "))
                """, arguments: try row.arguments())
    }

    private static let columns = [
        "webhook_id", "group_id", "origin", "types", "description", "is_active", "disabled_reason", "secret_version",
        "previous_secret_until", "created_at", "updated_at", "version",
    ]
}

extension WebhookSummary {
    fileprivate func arguments() throws -> SQLArguments {
        [
            "webhook_id": id.rawValue, "group_id": group.rawValue, "origin": spec.origin,
            "types": try jsonText(.array(spec.types.map { .string($0) })),
            // As JSON, because a text of SQLite is read up to its first NUL.
            "description": try jsonText(spec.description), "is_active": spec.isActive ? 1 : 0,
            "disabled_reason": disabled?.rawValue, "secret_version": secretVersion,
            "previous_secret_until": previousSecretUntil?.milliseconds, "created_at": createdAt.milliseconds,
            "updated_at": updatedAt.milliseconds, "version": version,
        ]
    }

    fileprivate init(row: any SQLRow) throws {
        self.init(
            id: try row.requiredParsed("webhook_id") { WebhookID($0) }, group: GroupID(try row.required("group_id")),
            spec: WebhookSpec(
                origin: try row.required("origin"), types: try row.strings("types"),
                description: try row.jsonString("description"), isActive: try row.required("is_active") as Int != 0),
            disabled: try row.parsed("disabled_reason", WebhookDisableReason.init(rawValue:)),
            secretVersion: try row.required("secret_version"),
            previousSecretUntil: try row.time("previous_secret_until"),
            createdAt: WallTime(milliseconds: try row.required("created_at")),
            updatedAt: WallTime(milliseconds: try row.required("updated_at")), version: try row.required("version"))
    }
}
