import ComputeCore
import ComputeDomain
import EventSourcing

/// What could not be delivered to webhooks.
struct DeliverySQL {
    let db: any SQLConnection

    func deliveries(of id: WebhookID, in state: WebhookDelivery.State, after eventID: String?, limit: Int) throws
        -> [WebhookDelivery]
    {
        try rows(
            "webhook_id = :id AND state = :state AND event_id > :after ORDER BY event_id LIMIT :limit",
            [
                "id": id.rawValue, "state": state.rawValue, "after": eventID ?? "",
                "limit": min(max(limit, 1), 1000),
            ])
    }

    func due(of id: WebhookID, at now: WallTime, limit: Int) throws -> [WebhookDelivery] {
        try rows(
            "webhook_id = :id AND state = 'retrying' AND next_at <= :now ORDER BY next_at, event_id LIMIT :limit",
            ["id": id.rawValue, "now": now.milliseconds, "limit": min(max(limit, 1), 1000)])
    }

    func count(of id: WebhookID, in state: WebhookDelivery.State) throws -> Int {
        try db.readRows(
            sql: "SELECT count(*) AS count FROM webhook_deliveries WHERE webhook_id = :id AND state = :state",
            arguments: ["id": id.rawValue, "state": state.rawValue]
        ) { try $0.required("count") as Int }[0]
    }

    func note(_ progress: WebhookProgress, at now: WallTime) throws {
        if let owner = progress.owner, try !ConsumerSQL(db: db).isLeased(WebhookSummary.dispatcher, by: owner) {
            return
        }
        guard try WebhookSQL(db: db).webhook(progress.webhook, in: nil) != nil else { return }
        for id in progress.arrived {
            try db.run(
                sql: "DELETE FROM webhook_deliveries WHERE webhook_id = :id AND event_id = :event",
                arguments: ["id": progress.webhook.rawValue, "event": id])
        }
        for delivery in progress.failed { try put(delivery) }
        if let checkpoint = progress.checkpoint {
            try ConsumerSQL(db: db).save(
                Cursor(rawValue: checkpoint), of: WebhookSummary.consumer(progress.webhook), at: now)
        }
    }

    func revive(_ id: WebhookID, eventID: String?, at now: WallTime) throws -> Int {
        try db.readRows(
            sql: """
                UPDATE webhook_deliveries SET state = 'retrying', attempts = 0, next_at = :now
                WHERE webhook_id = :id AND state = 'dead' AND (:event IS NULL OR event_id = :event)
                RETURNING event_id
                """,
            arguments: ["id": id.rawValue, "event": eventID, "now": now.milliseconds]
        ) { try $0.required("event_id") as String }.count
    }

    func drop(_ id: WebhookID, eventID: String?) throws -> Int {
        try db.readRows(
            sql: """
                DELETE FROM webhook_deliveries
                WHERE webhook_id = :id AND state = 'dead' AND (:event IS NULL OR event_id = :event)
                RETURNING event_id
                """,
            arguments: ["id": id.rawValue, "event": eventID]
        ) { try $0.required("event_id") as String }.count
    }

    private func rows(_ conditions: String, _ arguments: SQLArguments) throws -> [WebhookDelivery] {
        try db.readRows(
            sql: "SELECT \(Self.columns.joined(separator: ", ")) FROM webhook_deliveries WHERE \(conditions)",
            arguments: arguments, WebhookDelivery.init(row:))
    }

    private func put(_ row: WebhookDelivery) throws {
        try db.run(
            sql: """
                INSERT INTO webhook_deliveries (\(Self.columns.joined(separator: ", ")))
                VALUES (\(Self.columns.map { ":\($0)" }.joined(separator: ", ")))
                ON CONFLICT (webhook_id, event_id) DO UPDATE SET
                \(Self.columns.dropFirst(2).map { "\($0) = excluded.\($0)" }.joined(separator: ", "))
                """, arguments: row.arguments)
    }

    private static let columns = [
        "webhook_id", "event_id", "group_id", "type", "state", "attempts", "next_at", "last_status", "last_error",
        "first_failed_at", "last_failed_at",
    ]
}

extension WebhookDelivery {
    fileprivate var arguments: SQLArguments {
        [
            "webhook_id": webhook.rawValue, "event_id": eventID, "group_id": group.rawValue, "type": type,
            "state": state.rawValue, "attempts": attempts, "next_at": nextAt.milliseconds, "last_status": lastStatus,
            "last_error": lastError, "first_failed_at": firstFailedAt.milliseconds,
            "last_failed_at": lastFailedAt.milliseconds,
        ]
    }

    fileprivate init(row: any SQLRow) throws {
        self.init(
            webhook: try row.requiredParsed("webhook_id") { WebhookID($0) },
            group: GroupID(try row.required("group_id")), eventID: try row.required("event_id"),
            type: try row.required("type"), state: try row.requiredParsed("state", State.init(rawValue:)),
            attempts: try row.required("attempts"), nextAt: WallTime(milliseconds: try row.required("next_at")),
            lastStatus: try row.optional("last_status"), lastError: try row.optional("last_error"),
            firstFailedAt: WallTime(milliseconds: try row.required("first_failed_at")),
            lastFailedAt: WallTime(milliseconds: try row.required("last_failed_at")))
    }
}
