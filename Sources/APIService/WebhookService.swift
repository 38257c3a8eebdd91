package import APIContract
package import ComputeCore
package import ComputeDomain
package import EventSourcing
import Logging

/// What webhooks stand on.
package struct WebhookPorts: Sendable {
    package var webhooks: any Webhooks
    package var consumers: any Consumers
    package var sender: any WebhookSender

    package init(webhooks: any Webhooks, consumers: any Consumers, sender: any WebhookSender) {
        self.webhooks = webhooks
        self.consumers = consumers
        self.sender = sender
    }
}

/// What the API does about webhooks, without HTTP.
package struct WebhookService: Sendable, StoreReader {
    package static let perGroup: Int64 = 20
    /// How long receivers have to learn a new secret.
    package static let secretOverlap: Duration = .seconds(24 * 3600)

    let ports: APIPorts
    let secrets: WebhookSecrets
    let logger: Logger

    init(ports: APIPorts, logger: Logger) {
        self.ports = ports
        self.logger = logger
        secrets = WebhookSecrets(ports.sidekickKey)
    }

    var webhooks: any Webhooks { ports.webhooks.webhooks }

    // MARK: - Reading

    package func list(for caller: Caller) async throws(Problem) -> [WebhookSummary] {
        try await reading { () async throws(EventStoreError) in
            try await webhooks.webhooks(in: caller.group, limit: Int(Self.perGroup))
        }
    }

    /// - Throws: 404 for what is unknown, another group's or deleted.
    package func get(_ id: WebhookID, for caller: Caller) async throws(Problem) -> WebhookSummary {
        let found = try await reading { () async throws(EventStoreError) in
            try await webhooks.webhook(id, in: caller.group)
        }
        guard let found else { throw .noSuchWebhook }
        return found
    }

    /// The whole URL.
    package func url(of id: WebhookID) async throws(Problem) -> WebhookURL {
        let row = try await reading { () async throws(EventStoreError) in
            try await ports.store.privateRow(kind: PrivateRow.webhookURLKind, key: id.rawValue)
        }
        // Deleted this very moment.
        guard let row, row.value != .object([:]) else { throw .noSuchWebhook }
        guard let url = secrets.url(in: row, of: id) else {
            logger.error("the URL of a webhook cannot be read", metadata: ["webhook": "\(id)"])
            throw .internalError
        }
        return url
    }

    package func counts(of id: WebhookID) async throws(Problem) -> (retrying: Int, dead: Int) {
        try await reading { () async throws(EventStoreError) in
            (
                try await webhooks.deliveryCount(of: id, in: .retrying),
                try await webhooks.deliveryCount(of: id, in: .dead)
            )
        }
    }

    package func deliveries(
        of id: WebhookID, in state: WebhookDelivery.State, after eventID: String?, limit: Int, for caller: Caller
    ) async throws(Problem) -> [WebhookDelivery] {
        _ = try await get(id, for: caller)
        return try await reading { () async throws(EventStoreError) in
            try await webhooks.deliveries(of: id, in: state, after: eventID, limit: limit)
        }
    }

    // MARK: - Changing

    /// It is told of what happens from now on.
    package func create(_ order: WebhookOrder, for caller: Caller) async throws(Problem) -> WebhookSummary {
        try EventTypes.check(order.types ?? [], field: "types")
        let url = try await checked(order.url ?? "")
        let id = WebhookID.random()
        let now = ports.clock.now()
        let spec = WebhookSpec(
            origin: url.origin, types: order.types ?? [], description: order.description,
            isActive: order.isActive ?? true)
        // Before the commit: whatever happens after it is behind this place. Not for one that will not be made, which
        // nobody would ever forget again.
        let count = try await reading { () async throws(EventStoreError) in
            try await ports.store.counter(.webhooks(in: caller.group))
        }
        guard count < Self.perGroup else { throw .tooManyWebhooks }
        try await reading { () async throws(EventStoreError) in
            guard let head = try await ports.store.head() else { return }
            try await ports.webhooks.consumers.save(head, of: WebhookSummary.consumer(id), at: now)
        }
        var commit = Commit(
            appends: [
                StreamAppend(
                    stream: .webhook(id), group: caller.group, expectedVersion: 0,
                    events: [WebhookEvent.created(spec).recorded])
            ],
            // What is told of everything outlives the credential that it was made with.
            standing: caller.standing, metadata: caller.metadata, occurredAt: now)
        commit.counterMoves = [
            CounterMove(counter: .webhooks(in: caller.group), delta: 1, limit: Self.perGroup)
        ]
        commit.privateRows = [try secrets.row(url, of: id, in: caller.group)]
        switch try await self.commit(commit) {
        case .committed: break
        case .overLimit: throw .tooManyWebhooks
        case .overtaken: throw .unauthenticated
        case .versionConflict, .taken: throw .internalError
        }
        return try await get(id, for: caller)
    }

    package func change(_ id: WebhookID, _ order: WebhookOrder, for caller: Caller) async throws(Problem)
        -> WebhookSummary
    {
        _ = try await get(id, for: caller)
        try EventTypes.check(order.types ?? [], field: "types")
        var url: WebhookURL?
        if let text = order.url { url = try await checked(text) }
        let rows = try url.map { url throws(Problem) in [try secrets.row(url, of: id, in: caller.group)] } ?? []
        try await decide(on: id, in: caller.group, standing: caller.standing, metadata: caller.metadata, rows: rows) {
            current in
            var spec = current
            spec.origin = url?.origin ?? spec.origin
            spec.types = order.types ?? spec.types
            spec.description = order.description ?? spec.description
            spec.isActive = order.isActive ?? spec.isActive
            return .change(spec, isMoved: url != nil)
        }
        return try await get(id, for: caller)
    }

    package func rotate(_ id: WebhookID, for caller: Caller) async throws(Problem) -> WebhookSummary {
        _ = try await get(id, for: caller)
        try await decide(on: id, in: caller.group, standing: caller.standing, metadata: caller.metadata) { _ in
            .rotate(previousUntil: ports.clock.now() + Self.secretOverlap)
        }
        return try await get(id, for: caller)
    }

    package func delete(_ id: WebhookID, for caller: Caller) async throws(Problem) {
        _ = try await get(id, for: caller)
        // A row whose time is over is forgotten, and until then holds nothing.
        let row = PrivateRow(
            kind: PrivateRow.webhookURLKind, key: id.rawValue, group: caller.group, value: .object([:]),
            expiresAt: ports.clock.now())
        try await decide(
            on: id, in: caller.group, standing: caller.standing, metadata: caller.metadata, rows: [row],
            moves: [CounterMove(counter: .webhooks(in: caller.group), delta: -1)]
        ) { _ in .delete }
    }

    /// - Throws: 404 when the one that is named is not dead.
    package func redeliver(_ id: WebhookID, eventID: String?, for caller: Caller) async throws(Problem) -> Int {
        _ = try await get(id, for: caller)
        let count = try await reading { () async throws(EventStoreError) in
            try await webhooks.revive(id, eventID: eventID, at: ports.clock.now())
        }
        guard count > 0 || eventID == nil else { throw .noDeadDelivery }
        return count
    }

    /// Nobody is told of those any more.
    /// - Throws: 404 when the one that is named is not dead.
    package func drop(_ id: WebhookID, eventID: String?, for caller: Caller) async throws(Problem) -> Int {
        _ = try await get(id, for: caller)
        let count = try await reading { () async throws(EventStoreError) in
            try await webhooks.drop(id, eventID: eventID)
        }
        guard count > 0 || eventID == nil else { throw .noDeadDelivery }
        return count
    }

    /// Nothing when it was changed since: what failed was another place.
    func disable(_ webhook: WebhookSummary, _ reason: WebhookDisableReason) async throws(Problem) {
        let current = try await reading { () async throws(EventStoreError) in
            try await webhooks.webhook(webhook.id, in: nil)
        }
        guard current?.updatedAt == webhook.updatedAt else { return }
        try await decide(on: webhook.id, in: webhook.group, metadata: .system) { _ in .disable(reason) }
        logger.notice(
            "webhook disabled", metadata: ["webhook": "\(webhook.id)", "reason": "\(reason.rawValue)"])
    }

    // MARK: - Ground

    private func checked(_ text: String) async throws(Problem) -> WebhookURL {
        let url = try WebhookURL(text)
        if let refusal = await ports.webhooks.sender.refusal(of: url) {
            throw .invalid("url", "url cannot be sent to: \(refusal)")
        }
        return url
    }

    /// Load, decide, append; on a conflict again from the start.
    private func decide(
        on id: WebhookID, in group: GroupID, standing: Standing? = nil, metadata: EventMetadata,
        rows: [PrivateRow] = [],
        moves: [CounterMove] = [], _ command: (WebhookSpec) -> Webhook.Command
    ) async throws(Problem) {
        for _ in 0..<8 {
            let loaded = try await reading { () async throws(EventStoreError) in
                try await ports.store.load(Webhook.self, .webhook(id))
            }
            let state = loaded.state
            guard case .present(let spec, _) = state else { throw .noSuchWebhook }
            let events: [WebhookEvent]
            do { events = try Webhook.decide(command(spec), state) } catch { throw .noSuchWebhook }
            guard !events.isEmpty else { return }
            let commit = Commit(
                appends: [
                    StreamAppend(
                        stream: .webhook(id), group: group, expectedVersion: loaded.version,
                        events: events.map(\.recorded))
                ], standing: standing, counterMoves: moves, privateRows: rows, metadata: metadata,
                occurredAt: ports.clock.now())
            switch try await self.commit(commit) {
            case .committed: return
            case .overtaken: throw .unauthenticated
            case .versionConflict, .taken, .overLimit: continue
            }
        }
        throw .unavailable("too many changes at once")
    }

    private func commit(_ commit: Commit) async throws(Problem) -> CommitOutcome {
        try await reading { () async throws(EventStoreError) in try await ports.store.commit(commit) }
    }

}

extension CounterName {
    static func webhooks(in group: GroupID) -> CounterName { CounterName(group: group, name: "webhooks") }
}

extension Problem {
    static let noSuchWebhook = Problem.notFound("there is no such webhook")
    static let noDeadDelivery = Problem.notFound("there is no dead delivery of that event")
    static let tooManyWebhooks = Problem.overQuota(
        "there are \(WebhookService.perGroup) webhooks, which is the limit; delete one first")
}
