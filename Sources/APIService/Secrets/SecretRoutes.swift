import APIContract
import ComputeCore
import ComputeDomain
import EventSourcing
import HTTPTypes
import Hummingbird

/// `/v1/secrets`: decode, call, encode. No answer has a value in it.
struct SecretRoutes: Sendable {
    let service: SecretService

    func add(to router: some RouterMethods<APIRequestContext>) {
        RouteHandlers([.post: create, .get: list]).add("/v1/secrets", to: router)
        RouteHandlers([.put: write, .get: get, .delete: delete]).add("/v1/secrets/:secret", to: router)
    }

    @Sendable func create(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        let fields = try FieldReader(try await request.document())
        let name = try WriteSecret.name(try fields.requiredString("name"))
        let order = try WriteSecret(fields)
        return try Answer.success(
            SecretView(try await service.write(order.value, to: name, isNew: true, for: caller)))
    }

    @Sendable func write(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        let name = try WriteSecret.name(context.parameter("secret") ?? "")
        let order = try WriteSecret(try FieldReader(try await request.document()))
        return try Answer.success(
            SecretView(try await service.write(order.value, to: name, isNew: false, for: caller)))
    }

    @Sendable func get(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        return try Answer.success(SecretView(try await service.get(try name(context), for: caller)))
    }

    @Sendable func list(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        let page = try await service.list(
            after: request.query("cursor"), limit: try request.limit(default: 100), for: caller)
        return try Answer.json(SuccessList(page.secrets.map { SecretView($0) }, next: page.next?.rawValue))
    }

    @Sendable func delete(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        try await service.delete(try name(context), for: caller)
        return try Answer.success(EmptyData())
    }

    /// What cannot be a name is unknown, like one that could.
    private func name(_ context: APIRequestContext) throws(Problem) -> SecretName {
        let text = context.parameter("secret") ?? ""
        guard let name = SecretName(text) else { throw .noSuchSecret(text) }
        return name
    }
}

extension SecretView {
    fileprivate init(_ summary: SecretSummary) {
        self.init(
            name: summary.name, version: summary.version, createdAt: summary.createdAt, updatedAt: summary.updatedAt)
    }
}
