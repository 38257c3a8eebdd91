import APIContract
import Auth
import ComputeCore
import ComputeDomain
import EventSourcing
import HTTPTypes
import Hummingbird

/// The routes of the public events client: `POST /events` with a compute's access token, `GET /events/{sandboxId}` with
/// an API key.
struct CustomEventRoutes: Sendable {
    let service: CustomEventService
    let compute: ComputeService
    let sessions: SessionService

    /// With a token: outside of what needs a key.
    func addOpen(to router: some RouterMethods<APIRequestContext>) {
        RouteHandlers([.post: emit]).add("/events", to: router)
    }

    func addGuarded(to router: some RouterMethods<APIRequestContext>) {
        RouteHandlers([.get: history]).add("/events/:id", to: router)
    }

    @Sendable func emit(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let token = try await AuthCaller.token(in: request, compute.ports)
        guard token.kind == .access else {
            throw Problem(status: 403, code: .forbidden, message: "this needs the sandbox's access token")
        }
        let order = try EmitEvent(try await request.document())
        guard let summary = try await compute.summary(token.computeID, in: token.group) else {
            throw Problem.noSuchSandbox(token.computeID.rawValue)
        }
        // After the body, which may take its time: a token that was taken back meanwhile puts nothing on record.
        _ = try await AuthCaller(request, context, of: summary, sessions)
        let metadata = EventMetadata(
            actor: "token:\(token.tokenID)", requestID: context.requestID.rawValue,
            traceID: TraceContext.current?.traceID, source: context.peer ?? KeyMiddleware.forwarded(request.headers))
        let caller = Caller(group: token.group, metadata: metadata)
        return try Answer.success(try await service.emit(order, on: token.computeID, for: caller))
    }

    @Sendable func history(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        let text = context.parameter("id") ?? ""
        guard let id = ComputeID(text), try await compute.summary(id, in: caller.group) != nil else {
            throw Problem.noSuchSandbox(text)
        }
        var filter = EventFilter(group: caller.group)
        filter.streams = [.compute(id), .custom(id)]
        filter.types = try request.query("type").map { try EventQuery.types($0) }
        filter.since = try EventQuery.time("since", request)
        let limit = try request.limit(default: 100)
        let page = try await compute.ports.store.firstPage(after: nil, matching: filter, limit: limit)
        return try Answer.success(
            SandboxHistory(
                sandboxId: id,
                events: page.events.compactMap { SandboxEvent($0) }.map {
                    SandboxHistory.Entry($0, of: id, workspaceId: caller.group.rawValue)
                }))
    }
}
