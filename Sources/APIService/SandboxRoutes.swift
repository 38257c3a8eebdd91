import APIContract
import Auth
import ComputeCore
import ComputeDomain
import Crypto
import EventSourcing
import HTTPTypes
import Hummingbird

/// `/v1/sandboxes`: decode, call, encode.
struct SandboxRoutes: Sendable {
    let service: ComputeService
    let tokens: SandboxTokens
    let urls: PublicURLs
    let sidekickKey: SymmetricKey

    func add(to router: some RouterMethods<APIRequestContext>) {
        // The singular is what clients before 1.10 call.
        for base in ["/v1/sandboxes", "/v1/sandbox"] {
            RouteHandlers([.post: create, .get: list]).add("\(base)", to: router)
            RouteHandlers([.post: find]).add("\(base)/find", to: router)
            RouteHandlers([.post: findOrCreate]).add("\(base)/find-or-create", to: router)
            RouteHandlers([.get: get, .patch: change, .delete: delete]).add("\(base)/:id", to: router)
            RouteHandlers([.post: extend]).add("\(base)/:id/extend", to: router)
            RouteHandlers([.post: pause]).add("\(base)/:id/pause", to: router)
            RouteHandlers([.post: resume]).add("\(base)/:id/resume", to: router)
            RouteHandlers([.post: stop]).add("\(base)/:id/stop", to: router)
            RouteHandlers([.post: start]).add("\(base)/:id/start", to: router)
        }
    }

    @Sendable func create(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        let document = try await request.document()
        let order = try CreateSandbox(document)
        let retry = try request.headers[.idempotencyKey].map { header throws(Problem) in
            try RetryKey(header: header, document: document, secret: sidekickKey)
        }
        return try await answer(try await service.create(order, retry: retry, for: caller), caller)
    }

    @Sendable func findOrCreate(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        let order = try CreateSandbox(FieldReader(try await request.document()), nameIsRequired: true)
        return try await answer(try await service.findOrCreate(order, for: caller), caller)
    }

    @Sendable func find(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        guard let name = try SandboxName(FieldReader(try await request.document()), nameIsRequired: true) else {
            throw Problem.invalid("name", "name is required")
        }
        guard let found = try await service.find(name, for: caller) else {
            return try Answer.success(Sandbox?.none)
        }
        return try await answer(found, caller)
    }

    @Sendable func get(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        return try await answer(try await service.get(try id(context), for: caller), caller)
    }

    @Sendable func list(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        let page = try await service.list(
            try SandboxQuery(request).filter, after: request.query("cursor"),
            limit: try request.limit(default: 100), for: caller)
        var list: [String: JSONValue] = [
            "success": .bool(true), "data": .array(page.summaries.map { sandbox($0, token: nil).document }),
        ]
        list["next"] = page.next.map { .string($0.rawValue) }
        return Answer.document(.object(list))
    }

    @Sendable func delete(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        try await service.delete(try id(context), for: caller)
        return try Answer.success(EmptyData())
    }

    @Sendable func extend(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        let id = try id(context)
        let order = try ExtendSandbox(try await request.document())
        let expiresAt = try await service.extend(id, by: order.duration, for: caller)
        return try Answer.success(ExtendedSandbox(sandboxId: id, expiresAt: expiresAt))
    }

    @Sendable func change(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        let id = try id(context)
        let order = try ChangeSandbox(try await request.document())
        return try await answer(try await service.change(id, order, for: caller), caller)
    }

    @Sendable func pause(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        return try await answer(try await service.pause(try id(context), for: caller), caller)
    }

    @Sendable func resume(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        return try await answer(try await service.resume(try id(context), for: caller), caller)
    }

    @Sendable func stop(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        return try await answer(try await service.stop(try id(context), for: caller), caller)
    }

    @Sendable func start(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        return try await answer(try await service.start(try id(context), for: caller), caller)
    }

    // MARK: - Decoding

    private func id(_ context: APIRequestContext) throws(Problem) -> ComputeID {
        let text = context.parameter("id") ?? ""
        // What cannot be an id is unknown, like one that could.
        guard let id = ComputeID(text) else { throw .noSuchSandbox(text) }
        return id
    }

    // MARK: - Encoding

    /// The token opens everything inside: who may only look gets none.
    private func answer(_ summary: ComputeSummary, _ caller: Caller) async throws -> Response {
        let mayConnect = caller.authority.permits(.sandboxesConnect, atLeast: .developer)
        let token = mayConnect ? try await tokens.token(for: summary, caller) : nil
        return Answer.document(.object(["success": .bool(true), "data": sandbox(summary, token: token).document]))
    }

    private func sandbox(_ summary: ComputeSummary, token: String?) -> Sandbox {
        Sandbox(
            sandboxId: summary.id, url: urls.url(of: summary.id), token: token, status: SandboxStatus(summary.state),
            metadata: summary.metadata.isEmpty ? nil : summary.metadata, name: summary.name,
            namespace: summary.namespace,
            filesystems: summary.filesystems.isEmpty ? nil : summary.filesystems.map { Sandbox.Filesystem($0) },
            network: summary.network.isOpen ? nil : summary.network,
            ports: summary.ports == .open ? nil : summary.ports, template: summary.template,
            lifecycle: summary.lifecycle, createdAt: summary.createdAt,
            // Before the start only the request is known; the life begins with the start.
            expiresAt: summary.expiresAt ?? summary.createdAt + summary.timeout, endedAt: summary.endedAt,
            endReason: summary.endReason?.rawValue)
    }
}

extension Sandbox.Filesystem {
    fileprivate init(_ mounted: ComputeFilesystem) {
        self.init(
            id: mounted.id, name: mounted.name, path: mounted.attachment.path,
            readOnly: mounted.attachment.isReadOnly)
    }
}
