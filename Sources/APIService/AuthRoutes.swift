import APIContract
import Auth
import ComputeCore
import ComputeDomain
import EventSourcing
import HTTPTypes
import Hummingbird

/// `/auth/*` of a compute: decode, call, encode.
///
/// They come from the Gateway in the form in which the client asked: on the compute's host, which the Gateway names in
/// a header that nobody else can set, or below `/s/<id>`. Tokens are looked at again here, so that a request which
/// found another way in has gained nothing.
struct AuthRoutes: Sendable {
    let service: SessionService
    let urls: PublicURLs

    func add(to router: some RouterMethods<APIRequestContext>) {
        for base in ["/auth", "/s/:id/auth"] {
            RouteHandlers([.get: status]).add("\(base)/status", to: router)
            RouteHandlers([.get: info]).add("\(base)/info", to: router)
            RouteHandlers([.post: claim]).add("\(base)/token", to: router)
            RouteHandlers([.post: create, .get: list]).add("\(base)/session_tokens", to: router)
            RouteHandlers([.get: get, .delete: revoke]).add("\(base)/session_tokens/:token", to: router)
            for name in ["magic-links", "magic-link"] {
                RouteHandlers([.post: createLink]).add("\(base)/\(name)", to: router)
            }
            RouteHandlers([.get: visit]).add("\(base)/magic", to: router)
        }
    }

    // MARK: - Public

    /// What clients of either age read, in one.
    @Sendable func status(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let compute = try await compute(request, context)
        var data: [String: JSONValue] = [
            "authenticated": .bool(false), "token_issued": .bool(true), "status": .string("claimed"),
            "available": .bool(false),
        ]
        if let token = try? await AuthCaller(request, context, of: compute, service).token {
            data["authenticated"] = .bool(true)
            data["token_type"] = .string("\(token.kind.rawValue)_token")
            data["expires_at"] = .string(token.expiresAt.rfc3339)
        }
        return try Self.success("Authentication status", data)
    }

    @Sendable func info(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        _ = try await compute(request, context)
        return try Self.success("Authentication", AuthInfo.data)
    }

    @Sendable func claim(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        _ = try await compute(request, context)
        throw Problem(
            status: 409, code: .conflict,
            message: "this sandbox has its access token already: the API answers it with the sandbox")
    }

    // MARK: - Session tokens

    @Sendable func create(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let (compute, caller) = try await admin(request, context)
        let order = try CreateSession(try await request.document())
        let made = try await service.create(order, on: compute.id, for: caller)
        return try Self.success(
            "Session token created", SessionView(made.summary, token: made.token).fields, isAlsoFlat: true,
            status: .created)
    }

    @Sendable func list(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let (compute, _) = try await admin(request, context)
        let tokens = try await service.list(on: compute.id)
        return try Self.success(
            "Session tokens", ["tokens": .array(tokens.map { .object(SessionView($0, token: nil).fields) })])
    }

    @Sendable func get(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let (compute, _) = try await admin(request, context)
        let found = try await service.get(try Self.session(context), on: compute.id)
        return try Self.success("Session token", SessionView(found, token: nil).fields, isAlsoFlat: true)
    }

    @Sendable func revoke(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let (compute, caller) = try await admin(request, context)
        let session = try Self.session(context)
        let expiresAt = try await service.revoke(session, on: compute.id, for: caller)
        var response = Response(status: .noContent)
        response.headers[.revokedSession] = AuthHeader.revoked(session, until: expiresAt)
        return response
    }

    // MARK: - Magic links

    @Sendable func createLink(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let (compute, caller) = try await admin(request, context)
        let order = try CreateMagicLink(try await request.document())
        let link = try await service.createLink(order, on: compute.id, for: caller)
        return try Self.success(
            "Magic link created",
            [
                "magic_url": .string("\(urls.url(of: compute.id))/auth/magic?token=\(link.secret.text)"),
                "expires_at": .string(link.expiresAt.rfc3339), "redirect_url": .string(order.redirect),
            ], status: .created)
    }

    @Sendable func visit(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let compute = try await compute(request, context)
        switch MagicLinkVisit(method: request.method, headers: request.headers) {
        case .look(let status): return MagicLinkPage.unused.response(HTTPResponse.Status(code: status))
        case .arrival: break
        }
        guard let secret = request.query("token").flatMap({ MagicLinkSecret($0) }) else {
            return MagicLinkPage.refused.response(.badRequest)
        }
        let visitor = Caller(group: compute.group, metadata: Self.metadata(request, context, actor: "link"))
        switch try await service.visit(secret, on: compute.id, for: visitor) {
        case .refused: return MagicLinkPage.refused.response(.badRequest)
        case .full: return MagicLinkPage.full.response(.tooManyRequests)
        case .welcome(let made, let redirect):
            let place: MagicLinkVisit.Place =
                context.parameter("id") == nil
                ? .host(scheme: request.headers[.forwardedProto] ?? "http") : .path(compute.id)
            return MagicLinkVisit.welcome(token: made.token, redirect: redirect, at: place)
        }
    }

    // MARK: - Who asks, and for which compute

    private func compute(_ request: Request, _ context: APIRequestContext) async throws -> ComputeSummary {
        guard let text = context.parameter("id") ?? request.headers[.computeID] else {
            throw Problem.notFound("there is no such route")
        }
        guard let id = ComputeID(text) else { throw Problem.noSuchSandbox(text) }
        return try await service.compute(id)
    }

    /// - Throws: 401 without a token of this compute, 403 with one that was delegated.
    private func admin(
        _ request: Request, _ context: APIRequestContext
    ) async throws -> (ComputeSummary, Caller) {
        let compute = try await compute(request, context)
        let shown = try await AuthCaller(request, context, of: compute, service)
        let token = shown.token
        guard token.kind == .access else {
            throw Problem(
                status: 403, code: .forbidden,
                message: "this needs the sandbox's access token; a session token cannot make or take back tokens")
        }
        var caller = Caller(
            group: compute.group, metadata: Self.metadata(request, context, actor: "token:\(token.tokenID)"))
        caller.origins = token.origins
        caller.expiresAt = shown.originsEnd
        return (compute, caller)
    }

    private static func metadata(_ request: Request, _ context: APIRequestContext, actor: String) -> EventMetadata {
        EventMetadata(
            actor: actor, requestID: context.requestID.rawValue, traceID: TraceContext.current?.traceID,
            source: context.peer ?? KeyMiddleware.forwarded(request.headers))
    }

    private static func session(_ context: APIRequestContext) throws(Problem) -> SessionID {
        guard let id = SessionID(context.parameter("token") ?? "") else { throw .noSuchSession }
        return id
    }

    // MARK: - Encoding

    /// - Parameter isAlsoFlat: clients read these fields at the top level, or in `data`.
    private static func success(
        _ message: String, _ data: [String: JSONValue], isAlsoFlat: Bool = false, status: HTTPResponse.Status = .ok
    ) throws -> Response {
        var document = isAlsoFlat ? data : [:]
        document["status"] = .string("success")
        document["message"] = .string(message)
        document["data"] = .object(data)
        return try Answer.json(JSONValue.object(document), status: status)
    }
}

extension SessionView {
    init(_ summary: SessionSummary, token: String?) {
        self.init(
            id: summary.id, token: token, description: summary.grant.description,
            createdAt: summary.grant.createdAt, expiresAt: summary.grant.expiresAt, lastUsedAt: summary.lastUsedAt)
    }
}

extension HTTPField.Name {
    static let computeID = HTTPField.Name(AuthHeader.computeID)!
    static let revokedSession = HTTPField.Name(AuthHeader.revoked)!
    static let forwardedProto = HTTPField.Name("X-Forwarded-Proto")!
}
