import APIContract
import ComputeCore
import ComputeDomain
import EventSourcing
import HTTPTypes
import Hummingbird

/// `/v1/templates`: decode, call, encode.
struct TemplateRoutes: Sendable {
    let service: TemplateService

    func add(to router: some RouterMethods<APIRequestContext>) {
        RouteHandlers([.post: create, .get: list]).add("/v1/templates", to: router)
        RouteHandlers([.get: get, .put: revise, .delete: delete]).add("/v1/templates/:template", to: router)
        RouteHandlers([.get: revisions]).add("/v1/templates/:template/revisions", to: router)
        RouteHandlers([.get: revision]).add("/v1/templates/:template/revisions/:revision", to: router)
    }

    @Sendable func create(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        let order = try WriteTemplate(try await request.document())
        return try Answer.success(TemplateView(try await service.create(order, for: caller)))
    }

    @Sendable func get(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        return try Answer.success(TemplateView(try await template(context).found))
    }

    @Sendable func list(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        let page = try await service.list(
            after: request.query("cursor"), limit: try request.limit(default: 100), for: caller)
        return try Answer.json(SuccessList(page.templates.map { TemplateView($0) }, next: page.next?.rawValue))
    }

    @Sendable func revise(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let (found, caller) = try await template(context)
        let order = try WriteTemplate(try await request.document(), of: found.id)
        return try Answer.success(TemplateView(try await service.revise(found.id, order, for: caller)))
    }

    @Sendable func delete(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        try await service.delete(context.parameter("template") ?? "", for: caller)
        return try Answer.success(EmptyData())
    }

    @Sendable func revisions(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let (found, caller) = try await template(context)
        let page = try await service.revisions(
            of: found.id, after: request.query("cursor"), limit: try request.limit(default: 100), for: caller)
        return try Answer.json(
            SuccessList(page.revisions.map { TemplateView($0, of: found.id) }, next: page.next?.rawValue))
    }

    @Sendable func revision(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let (found, caller) = try await template(context)
        let text = context.parameter("revision") ?? ""
        guard let number = Int64(text), let revision = try await service.revision(number, of: found.id, for: caller)
        else { throw Problem.noSuchRevision(text) }
        return try Answer.success(TemplateView(revision, of: found.id))
    }

    /// By its id, or else by its name.
    private func template(
        _ context: APIRequestContext
    ) async throws -> (found: TemplateSummary, caller: Caller) {
        let caller = try context.authenticated()
        return (try await service.get(context.parameter("template") ?? "", for: caller), caller)
    }
}

extension TemplateView {
    fileprivate init(_ summary: TemplateSummary) {
        let spec = summary.newest.spec
        self.init(
            id: summary.id, name: spec.name, description: spec.description, defaults: spec.defaults,
            revision: summary.newest.revision, createdAt: summary.createdAt, updatedAt: summary.newest.createdAt)
    }

    fileprivate init(_ revision: TemplateRevision, of id: TemplateID) {
        self.init(
            id: id, name: revision.spec.name, description: revision.spec.description,
            defaults: revision.spec.defaults, revision: revision.revision, createdAt: revision.createdAt)
    }
}
