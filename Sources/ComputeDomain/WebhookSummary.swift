package import ComputeCore
package import EventSourcing

/// One webhook as lists show it and deliveries need it: folded from its events.
package struct WebhookSummary: Hashable, Sendable {
    package var id: WebhookID
    package var group: GroupID
    package var spec: WebhookSpec
    /// Why we stopped it; nil when nobody or its owner did.
    package var disabled: WebhookDisableReason?
    package var secretVersion: Int
    /// Until when the secret before this one signs as well.
    package var previousSecretUntil: WallTime?
    package var createdAt: WallTime
    package var updatedAt: WallTime
    package var version: Int

    package init(
        id: WebhookID, group: GroupID, spec: WebhookSpec, disabled: WebhookDisableReason?, secretVersion: Int,
        previousSecretUntil: WallTime?, createdAt: WallTime, updatedAt: WallTime, version: Int
    ) {
        self.id = id
        self.group = group
        self.spec = spec
        self.disabled = disabled
        self.secretVersion = secretVersion
        self.previousSecretUntil = previousSecretUntil
        self.createdAt = createdAt
        self.updatedAt = updatedAt
        self.version = version
    }

    /// What its place in the log is kept under.
    package static func consumer(_ id: WebhookID) -> String { "webhook:\(id)" }
    /// What the lease of whoever sends to all of them is kept under.
    package static let dispatcher = "webhooks"
}

extension WebhookSummary {
    /// The row after `event`; pure. nil once it is deleted.
    /// - Throws: `.corrupt` when the event cannot be read or does not follow on the row.
    package static func applying(_ event: RecordedEvent, to row: WebhookSummary?) throws(EventStoreError)
        -> WebhookSummary?
    {
        guard event.stream.category == StreamID.webhookCategory else { return row }
        let change = try WebhookEvent(type: event.type, data: event.data)
        guard var next = row else {
            guard let id = WebhookID(event.stream.id), case .created(let spec) = change else {
                throw EventStoreError(.corrupt, "the stream \(event.stream) does not start with a webhook")
            }
            return WebhookSummary(
                id: id, group: event.group, spec: spec, disabled: nil, secretVersion: 1, previousSecretUntil: nil,
                createdAt: event.occurredAt, updatedAt: event.occurredAt, version: event.version)
        }
        guard next.group == event.group, event.version == next.version + 1 else {
            throw EventStoreError(.corrupt, "an event of \(event.stream) does not follow on its summary")
        }
        next.version = event.version
        next.updatedAt = event.occurredAt
        switch change {
        case nil: break
        case .created: throw EventStoreError(.corrupt, "the stream \(event.stream) was created twice")
        case .changed(let spec):
            next.spec = spec
            // Until somebody lets it go on it is told of nothing for the same reason as before.
            if spec.isActive { next.disabled = nil }
        case .secretRotated(let version, let until):
            next.secretVersion = version
            next.previousSecretUntil = until
        case .disabled(let reason):
            next.spec.isActive = false
            next.disabled = reason
        case .deleted: return nil
        }
        return next
    }
}
