import APIContract
import ComputeCore
import EventSourcing
import HTTPTypes
import Hummingbird

/// `/v1/keys`: decode, call, encode.
struct KeyRoutes: Sendable {
    let service: KeyService

    func add(to router: some RouterMethods<APIRequestContext>) {
        RouteHandlers([.get: list, .post: create]).add("/v1/keys", to: router)
        RouteHandlers([.get: get, .delete: revoke]).add("/v1/keys/:key", to: router)
        RouteHandlers([.post: rotate]).add("/v1/keys/:key/rotate", to: router)
    }

    @Sendable func list(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        try Answer.page(
            try await service.list(
                after: request.query("cursor"), limit: try request.limit(default: 100),
                for: try context.authenticated()))
    }

    @Sendable func create(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        let made = try await service.create(try CreateKey(try await request.document()), for: caller)
        return try Answer.success(JSONValue.object(try made.view()))
    }

    @Sendable func get(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let record = try await service.get(Self.keyID(context), for: try context.authenticated())
        return try Answer.success(JSONValue.object(try record.view()))
    }

    @Sendable func rotate(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        let order = try RotateKey(try await request.document())
        let made = try await service.rotate(Self.keyID(context), overlap: order.overlap, for: caller)
        return try Answer.success(JSONValue.object(try made.view()))
    }

    @Sendable func revoke(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        try await service.revoke(Self.keyID(context), for: try context.authenticated())
        return try Answer.success(EmptyData())
    }

    private static func keyID(_ context: APIRequestContext) -> String { context.parameter("key") ?? "" }
}

extension KeyService.Made {
    func view() throws(EventStoreError) -> [String: JSONValue] {
        var view = try record.view()
        view["key"] = .string(key)
        return view
    }
}
