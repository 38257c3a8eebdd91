import APIContract
import ComputeCore
import HTTPTypes
import Hummingbird

/// `/v1/sessions`: decode, call, encode.
struct APISessionRoutes: Sendable {
    let service: APISessionService

    func add(to router: some RouterMethods<APIRequestContext>) {
        RouteHandlers([.get: list, .post: create]).add("/v1/sessions", to: router)
        RouteHandlers([.get: get, .delete: revoke]).add("/v1/sessions/:session", to: router)
    }

    @Sendable func create(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        let made = try await service.create(try CreateAPISession(try await request.document()), for: caller)
        var view = try made.record.view()
        view["token"] = .string(made.token)
        return try Answer.success(JSONValue.object(view))
    }

    @Sendable func list(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        try Answer.page(
            try await service.list(
                after: request.query("cursor"), limit: try request.limit(default: 100),
                for: try context.authenticated()))
    }

    @Sendable func get(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let record = try await service.get(Self.sessionID(context), for: try context.authenticated())
        return try Answer.success(JSONValue.object(try record.view()))
    }

    @Sendable func revoke(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        try await service.revoke(Self.sessionID(context), for: try context.authenticated())
        return try Answer.success(EmptyData())
    }

    private static func sessionID(_ context: APIRequestContext) -> String { context.parameter("session") ?? "" }
}
