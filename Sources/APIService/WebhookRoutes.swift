import APIContract
import ComputeCore
import ComputeDomain
import HTTPTypes
import Hummingbird

/// `/v1/webhooks`: decode, call, encode.
struct WebhookRoutes: Sendable {
    let service: WebhookService

    func add(to router: some RouterMethods<APIRequestContext>) {
        let base = "/v1/webhooks"
        RouteHandlers([.post: create, .get: list]).add("\(base)", to: router)
        RouteHandlers([.get: get, .patch: change, .delete: delete]).add("\(base)/:webhook", to: router)
        RouteHandlers([.post: rotate]).add("\(base)/:webhook/rotate", to: router)
        RouteHandlers([.get: deliveries, .delete: dropAll]).add("\(base)/:webhook/deliveries", to: router)
        RouteHandlers([.delete: drop]).add("\(base)/:webhook/deliveries/:event", to: router)
        RouteHandlers([.post: redeliverAll]).add("\(base)/:webhook/redeliver", to: router)
        RouteHandlers([.post: redeliver]).add("\(base)/:webhook/deliveries/:event/redeliver", to: router)
    }

    @Sendable func create(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        let order = try WebhookOrder(try await request.document(), urlIsRequired: true)
        return try await answer(try await service.create(order, for: caller), withSecret: true)
    }

    @Sendable func list(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        var views: [WebhookView] = []
        for summary in try await service.list(for: try context.authenticated()) {
            views.append(try await view(summary, withSecret: false, withCounts: false))
        }
        return try Answer.json(SuccessList(views, next: nil))
    }

    @Sendable func get(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        try await answer(try await service.get(try id(context), for: try context.authenticated()))
    }

    @Sendable func change(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        let order = try WebhookOrder(try await request.document(), urlIsRequired: false)
        return try await answer(try await service.change(try id(context), order, for: caller))
    }

    @Sendable func rotate(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        try await answer(
            try await service.rotate(try id(context), for: try context.authenticated()), withSecret: true)
    }

    @Sendable func delete(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        try await service.delete(try id(context), for: try context.authenticated())
        return try Answer.success(EmptyData())
    }

    @Sendable func deliveries(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        guard let state = WebhookDelivery.State(rawValue: request.query("state") ?? "dead") else {
            throw Problem.invalid("state", "state must be dead or retrying")
        }
        let limit = try request.limit(default: 100)
        let after = request.query("after")
        guard after.map({ SandboxEvent.place(of: $0) != nil }) ?? true else {
            throw Problem.invalid("after", "after is not a cursor of this list")
        }
        let found = try await service.deliveries(
            of: try id(context), in: state, after: after, limit: limit, for: caller)
        return try Answer.json(
            SuccessList(
                found.map { WebhookDeliveryView($0) }, next: found.count == limit ? found.last?.eventID : nil))
    }

    @Sendable func redeliverAll(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let count = try await service.redeliver(try id(context), eventID: nil, for: try context.authenticated())
        return try Answer.success(DeliveryCount(count: count))
    }

    @Sendable func redeliver(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let count = try await service.redeliver(
            try id(context), eventID: context.parameter("event") ?? "", for: try context.authenticated())
        return try Answer.success(DeliveryCount(count: count))
    }

    @Sendable func dropAll(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let count = try await service.drop(try id(context), eventID: nil, for: try context.authenticated())
        return try Answer.success(DeliveryCount(count: count))
    }

    @Sendable func drop(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let count = try await service.drop(
            try id(context), eventID: context.parameter("event") ?? "", for: try context.authenticated())
        return try Answer.success(DeliveryCount(count: count))
    }

    // MARK: - Decoding, encoding

    private func id(_ context: APIRequestContext) throws(Problem) -> WebhookID {
        guard let id = WebhookID(context.parameter("webhook") ?? "") else { throw .noSuchWebhook }
        return id
    }

    private func answer(_ summary: WebhookSummary, withSecret: Bool = false) async throws -> Response {
        try Answer.success(try await view(summary, withSecret: withSecret, withCounts: true))
    }

    private func view(_ summary: WebhookSummary, withSecret: Bool, withCounts: Bool) async throws(Problem)
        -> WebhookView
    {
        var deliveries: WebhookView.Deliveries?
        if withCounts {
            let counts = try await service.counts(of: summary.id)
            deliveries = WebhookView.Deliveries(retrying: counts.retrying, dead: counts.dead)
        }
        return WebhookView(
            id: summary.id, url: try await service.url(of: summary.id).text, types: summary.spec.types,
            description: summary.spec.description, active: summary.spec.isActive,
            disabledReason: summary.disabled?.rawValue,
            secret: withSecret ? service.secrets.text(of: summary.id, version: summary.secretVersion) : nil,
            createdAt: summary.createdAt, updatedAt: summary.updatedAt, deliveries: deliveries)
    }
}

extension WebhookDeliveryView {
    init(_ delivery: WebhookDelivery) {
        self.init(
            eventId: delivery.eventID, type: delivery.type, state: delivery.state.rawValue, attempts: delivery.attempts,
            nextAttemptAt: delivery.state == .retrying ? delivery.nextAt : nil, lastStatus: delivery.lastStatus,
            lastError: delivery.lastError, firstFailedAt: delivery.firstFailedAt, lastFailedAt: delivery.lastFailedAt)
    }
}
