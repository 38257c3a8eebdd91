package import ComputeCore
package import ComputeDomain
package import EventSourcing
import Synchronization

extension InMemoryEventStore: Consumers {
    package func checkpoint(of consumer: String) async throws(EventStoreError) -> Cursor? {
        state.withLock { $0.checkpoints[consumer] }
    }

    package func save(_ checkpoint: Cursor, of consumer: String, at now: WallTime) async throws(EventStoreError) {
        state.withLock { $0.checkpoints[consumer] = checkpoint }
    }

    package func lease(_ consumer: String, for owner: String, at now: WallTime, until end: WallTime)
        async throws(EventStoreError) -> Bool
    {
        state.withLock { state in
            if let lease = state.leases[consumer], lease.owner != owner, now < lease.end { return false }
            state.leases[consumer] = (owner, end)
            return true
        }
    }

    package func release(_ consumer: String, by owner: String, at now: WallTime) async throws(EventStoreError) {
        state.withLock { state in
            if state.leases[consumer]?.owner == owner { state.leases[consumer] = nil }
        }
    }
}

extension InMemoryEventStore: Webhooks {
    package func webhook(_ id: WebhookID, in group: GroupID?) async throws(EventStoreError) -> WebhookSummary? {
        state.withLock { state in
            state.webhooks[id].flatMap { row in group.map { $0 == row.group } ?? true ? row : nil }
        }
    }

    package func webhooks(in group: GroupID, limit: Int) async throws(EventStoreError) -> [WebhookSummary] {
        let all = state.withLock { state in state.webhooks.values.filter { $0.group == group } }
        let sorted = all.sorted { ($0.createdAt, $0.id.rawValue) < ($1.createdAt, $1.id.rawValue) }
        return Array(sorted.prefix(limit.clampedPageSize))
    }

    package func activeWebhooks(after id: WebhookID?, limit: Int) async throws(EventStoreError) -> [WebhookSummary] {
        let all = state.withLock { state in state.webhooks.values.filter(\.spec.isActive) }
        let rest = all.filter { (id?.rawValue ?? "") < $0.id.rawValue }.sorted { $0.id.rawValue < $1.id.rawValue }
        return Array(rest.prefix(limit.clampedPageSize))
    }

    package func deliveries(of id: WebhookID, in wanted: WebhookDelivery.State, after eventID: String?, limit: Int)
        async throws(EventStoreError) -> [WebhookDelivery]
    {
        let all = state.withLock { state in
            state.deliveries.values.filter {
                $0.webhook == id && $0.state == wanted && (eventID ?? "") < $0.eventID
            }
        }
        return Array(all.sorted { $0.eventID < $1.eventID }.prefix(limit.clampedPageSize))
    }

    package func dueDeliveries(of id: WebhookID, at now: WallTime, limit: Int) async throws(EventStoreError)
        -> [WebhookDelivery]
    {
        let due = state.withLock { state in
            state.deliveries.values.filter { $0.webhook == id && $0.state == .retrying && $0.nextAt <= now }
        }
        return Array(due.sorted { ($0.nextAt, $0.eventID) < ($1.nextAt, $1.eventID) }.prefix(limit.clampedPageSize))
    }

    package func deliveryCount(of id: WebhookID, in wanted: WebhookDelivery.State) async throws(EventStoreError)
        -> Int
    {
        state.withLock { state in state.deliveries.values.count { $0.webhook == id && $0.state == wanted } }
    }

    package func note(_ progress: WebhookProgress, at now: WallTime) async throws(EventStoreError) {
        state.withLock { state in
            if let owner = progress.owner, state.leases[WebhookSummary.dispatcher]?.owner != owner { return }
            guard state.webhooks[progress.webhook] != nil else { return }
            for id in progress.arrived {
                state.deliveries[State.DeliveryKey(webhook: progress.webhook, eventID: id)] = nil
            }
            for delivery in progress.failed {
                state.deliveries[State.DeliveryKey(webhook: progress.webhook, eventID: delivery.eventID)] = delivery
            }
            if let checkpoint = progress.checkpoint {
                state.checkpoints[WebhookSummary.consumer(progress.webhook)] = Cursor(rawValue: checkpoint)
            }
        }
    }

    package func revive(_ id: WebhookID, eventID: String?, at now: WallTime) async throws(EventStoreError) -> Int {
        state.withLock { state in
            let dead = state.deliveries.filter { key, delivery in
                key.webhook == id && delivery.state == .dead && (eventID.map { $0 == key.eventID } ?? true)
            }
            for key in dead.keys {
                state.deliveries[key]?.state = .retrying
                state.deliveries[key]?.attempts = 0
                state.deliveries[key]?.nextAt = now
            }
            return dead.count
        }
    }

    package func drop(_ id: WebhookID, eventID: String?) async throws(EventStoreError) -> Int {
        state.withLock { state in
            let dead = state.deliveries.filter { key, delivery in
                key.webhook == id && delivery.state == .dead && (eventID.map { $0 == key.eventID } ?? true)
            }
            for key in dead.keys { state.deliveries[key] = nil }
            return dead.count
        }
    }
}
