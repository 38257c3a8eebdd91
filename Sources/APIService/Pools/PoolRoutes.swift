import APIContract
import ComputeCore
import ComputeDomain
import EventSourcing
import HTTPTypes
import Hummingbird

/// `/v1/pools`: decode, call, encode.
struct PoolRoutes: Sendable {
    let service: PoolService

    func add(to router: some RouterMethods<APIRequestContext>) {
        RouteHandlers([.post: create, .get: list]).add("/v1/pools", to: router)
        RouteHandlers([.get: get, .patch: change, .delete: delete]).add("/v1/pools/:pool", to: router)
    }

    @Sendable func create(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        let order = try CreatePool(try await request.document())
        return try Answer.success(service.view(try await service.create(order, for: caller)))
    }

    @Sendable func list(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        let page = try await service.list(
            after: request.query("cursor"), limit: try request.limit(default: 100), for: caller)
        return try Answer.json(SuccessList(service.views(page.pools), next: page.next?.rawValue))
    }

    @Sendable func get(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        return try Answer.success(service.view(try await service.get(pool(context), for: caller)))
    }

    @Sendable func change(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        // Absent before wrong: what is said of a pool that is not there is nobody's to judge.
        _ = try await service.get(pool(context), for: caller)
        let order = try ChangePool(try await request.document())
        return try Answer.success(service.view(try await service.change(pool(context), order, for: caller)))
    }

    @Sendable func delete(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        try await service.delete(pool(context), for: caller)
        return try Answer.success(EmptyData())
    }

    /// An id, or else a name.
    private func pool(_ context: APIRequestContext) -> String { context.parameter("pool") ?? "" }
}
