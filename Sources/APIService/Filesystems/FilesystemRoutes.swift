import APIContract
import ComputeCore
import ComputeDomain
import EventSourcing
import HTTPTypes
import Hummingbird

/// `/v1/filesystems`: decode, call, encode.
struct FilesystemRoutes: Sendable {
    let service: FilesystemService

    func add(to router: some RouterMethods<APIRequestContext>) {
        RouteHandlers([.post: create, .get: list]).add("/v1/filesystems", to: router)
        RouteHandlers([.get: get, .delete: delete]).add("/v1/filesystems/:filesystem", to: router)
    }

    @Sendable func create(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        let order = try CreateFilesystem(try FieldReader(try await request.document()))
        return try Answer.success(FilesystemView(try await service.create(order, for: caller)))
    }

    @Sendable func get(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        return try Answer.success(FilesystemView(try await service.get(try id(context), for: caller)))
    }

    @Sendable func list(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        let page = try await service.list(
            after: request.query("cursor"), limit: try request.limit(default: 100), for: caller)
        return try Answer.json(
            SuccessList(page.filesystems.map { FilesystemView($0) }, next: page.next?.rawValue))
    }

    @Sendable func delete(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        try await service.delete(try id(context), for: caller)
        return try Answer.success(EmptyData())
    }

    /// What cannot be an id is unknown, like one that could.
    private func id(_ context: APIRequestContext) throws(Problem) -> FilesystemID {
        let text = context.parameter("filesystem") ?? ""
        guard let id = FilesystemID(text) else { throw .noSuchFilesystem(text) }
        return id
    }
}

extension FilesystemView {
    fileprivate init(_ summary: FilesystemSummary) {
        self.init(
            id: summary.id, name: summary.spec.name, sizeMiB: summary.spec.sizeMiB,
            attachments: summary.attachments.sorted { $0.key < $1.key }.map { compute, attachment in
                Attachment(sandboxId: compute, path: attachment.path, readOnly: attachment.isReadOnly)
            }, createdAt: summary.createdAt, updatedAt: summary.updatedAt)
    }
}
