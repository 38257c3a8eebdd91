package import ComputeCore
package import ComputeDomain
package import EventSourcing

extension SQLEventStore {
    // MARK: - Consumers

    package func checkpoint(of consumer: String) async throws(EventStoreError) -> Cursor? {
        try await read { try ConsumerSQL(db: $0).checkpoint(of: consumer) }
    }

    package func save(_ checkpoint: Cursor, of consumer: String, at now: WallTime) async throws(EventStoreError) {
        try await write { try ConsumerSQL(db: $0).save(checkpoint, of: consumer, at: now) }
    }

    package func lease(_ consumer: String, for owner: String, at now: WallTime, until end: WallTime)
        async throws(EventStoreError) -> Bool
    {
        try await write { try ConsumerSQL(db: $0).lease(consumer, for: owner, at: now, until: end) }
    }

    package func release(_ consumer: String, by owner: String, at now: WallTime) async throws(EventStoreError) {
        try await write { try ConsumerSQL(db: $0).release(consumer, by: owner, at: now) }
    }

    // MARK: - Webhooks

    package func webhook(_ id: WebhookID, in group: GroupID?) async throws(EventStoreError) -> WebhookSummary? {
        try await read { try WebhookSQL(db: $0).webhook(id, in: group) }
    }

    package func webhooks(in group: GroupID, limit: Int) async throws(EventStoreError) -> [WebhookSummary] {
        try await read { try WebhookSQL(db: $0).webhooks(in: group, limit: limit) }
    }

    package func activeWebhooks(after id: WebhookID?, limit: Int) async throws(EventStoreError) -> [WebhookSummary] {
        try await read { try WebhookSQL(db: $0).active(after: id, limit: limit) }
    }

    package func deliveries(of id: WebhookID, in state: WebhookDelivery.State, after eventID: String?, limit: Int)
        async throws(EventStoreError) -> [WebhookDelivery]
    {
        try await read { try DeliverySQL(db: $0).deliveries(of: id, in: state, after: eventID, limit: limit) }
    }

    package func dueDeliveries(of id: WebhookID, at now: WallTime, limit: Int) async throws(EventStoreError)
        -> [WebhookDelivery]
    {
        try await read { try DeliverySQL(db: $0).due(of: id, at: now, limit: limit) }
    }

    package func deliveryCount(of id: WebhookID, in state: WebhookDelivery.State) async throws(EventStoreError) -> Int {
        try await read { try DeliverySQL(db: $0).count(of: id, in: state) }
    }

    package func note(_ progress: WebhookProgress, at now: WallTime) async throws(EventStoreError) {
        try await write { try DeliverySQL(db: $0).note(progress, at: now) }
    }

    package func revive(_ id: WebhookID, eventID: String?, at now: WallTime) async throws(EventStoreError) -> Int {
        try await write { try DeliverySQL(db: $0).revive(id, eventID: eventID, at: now) }
    }

    package func drop(_ id: WebhookID, eventID: String?) async throws(EventStoreError) -> Int {
        try await write { try DeliverySQL(db: $0).drop(id, eventID: eventID) }
    }
}
