import APIContract
import Auth
import ComputeCore
import Crypto
import HTTPServing
import Logging
import NIOCore
import NIOHTTP1
import SidekickProtocol

/// One request's way through the Gateway: resolve → route → access → rewrite → forward. The decisions are
/// pure functions elsewhere; this joins them.
struct GatewayHandler: HTTPHandler {
    let settings: GatewaySettings
    let resolver: RouteResolution
    let directory: RouteDirectory
    let sessions: Sessions
    let keys: KeyRing
    let proxy: Proxy
    let sidekickKey: SymmetricKey
    let logger: Logger

    func handle(_ exchange: HTTPExchange) async throws {
        let start = ContinuousClock.now
        let request = GatewayRequest(exchange, resolver, settings)
        defer { GatewayMetrics.answered(exchange, request.resolution.destination, in: ContinuousClock.now - start) }
        try await TraceContext.$current.withValue(request.trace) { try await answer(request) }
    }

    private func answer(_ request: GatewayRequest) async throws {
        let exchange = request.exchange
        do {
            switch request.resolution.destination {
            case .api(computeHost: nil): try await toAPI(request)
            case .api(computeHost: let id?): try await toAuth(request, id)
            case .sidekick(let id, let child): try await toSidekick(request, id, child)
            case .port(let id, let port, let child): try await toPort(request, id, port, child)
            case .refused(let problem): throw problem
            }
        } catch let problem as Problem {
            guard !exchange.responseStarted else { throw problem }
            if problem.status >= 500 {
                logger.notice(
                    "request not answered by its upstream",
                    metadata: ["request": "\(request.requestID)", "status": "\(problem.status)"])
            }
            try await request.answer(problem)
        }
    }

    private func toAPI(_ request: GatewayRequest) async throws {
        try await toAPI(
            request, request.head(target: request.resolution.target, headers: request.forwardedHeaders()))
    }

    func toAPI(
        _ request: GatewayRequest, _ head: HTTPRequestHead, session: SessionUse? = nil,
        polish: (@Sendable (inout HTTPHeaders) -> Void)? = nil
    ) async throws {
        try await proxy.forward(
            request.exchange,
            to: Upstream(
                owner: .api, endpoint: settings.api, head: head,
                unreachable: .unavailable("the API does not answer"), isOurServer: true, session: session,
                polish: polish ?? request.polish))
    }

    private func toSidekick(_ request: GatewayRequest, _ id: ComputeID, _ child: String?) async throws {
        if request.isPreflight { return try await request.answerPreflight() }
        let (target, tokens) = QueryToken.cut(from: request.resolution.target)
        let route = try await directory.route(for: id)
        let decision = SidekickAccess.decide(
            method: request.exchange.head.method, path: RequestTarget.path(of: target),
            headers: request.exchange.head.headers, queryTokens: tokens, isUpgrade: request.upgrade != nil,
            form: request.resolution.form, authority: request.resolution.authority, scheme: request.scheme)
        var headers = request.headersForUserCode(child: child)
        headers.remove(name: "authorization")
        switch decision {
        case .refused(let problem): throw problem
        case .anonymous: try await toSidekick(request, route, target, headers, session: nil)
        case .needs(let candidates):
            let grant = try await authorize(candidates, for: route)
            defer { leave(grant) }
            let secret = SidekickSecret.derive(from: sidekickKey, computeID: id, generation: route.generation)
            headers.add(name: "Authorization", value: "Bearer " + secret)
            try await toSidekick(request, route, target, headers, session: grant.session)
        }
    }

    private func toSidekick(
        _ request: GatewayRequest, _ route: RouteRecord, _ target: String, _ headers: HTTPHeaders,
        session: SessionUse?
    ) async throws {
        guard let sidekick = route.sidekick else { throw Problem.unavailable("the sandbox is not reachable yet") }
        try await proxy.forward(
            request.exchange,
            to: Upstream(
                owner: .compute(route.computeId, route.generation), endpoint: sidekick,
                head: request.head(target: target, headers: headers),
                unreachable: Problem(status: 502, code: .badGateway, message: "the sandbox does not answer"),
                isOurServer: true, isCurrent: { directory.isCurrent(route) }, session: session,
                polish: request.polish))
    }

    private func toPort(_ request: GatewayRequest, _ id: ComputeID, _ port: Int, _ child: String?) async throws {
        // Nobody's relative link depends on the path of a WebSocket, and its clients follow no redirect.
        if let path = request.resolution.withFinalSlash, request.upgrade == nil {
            return try await request.redirect(to: path)
        }
        let (target, tokens) = OwnCredential.found(in: request.resolution.target)
        let route = try await directory.route(for: id)
        let grant = try await grant(request, tokens, for: port, of: route)
        defer { if let grant { leave(grant) } }
        if let grant, route.ports?.isPrivate(port) == true, let token = tokens.first, token == grant.bearer,
            PortCredential.becomesCookie(
                method: request.exchange.head.method, headers: request.exchange.head.headers, queryTokens: tokens,
                form: request.resolution.form)
        {
            return try await request.keep(grant, target: target)
        }
        let own = [request.exchange.localEndpoint, settings.api].compactMap(\.self)
        let endpoint = try PortDial.endpoint(for: route, port: port, own: own)
        var headers = request.headersForUserCode(child: child)
        OwnCredential.removeAuthorization(from: &headers)
        try await proxy.forward(
            request.exchange,
            to: Upstream(
                owner: grant == nil
                    ? .visitors(id, route.generation, port: port) : .compute(id, route.generation),
                endpoint: endpoint, head: request.head(target: target, headers: headers),
                unreachable: Problem(
                    status: 502, code: .badGateway, message: "nothing listens on port \(port) of this sandbox"),
                isOurServer: false,
                isCurrent: {
                    grant == nil ? directory.isPublic(port, of: route) : directory.isCurrent(route)
                }, session: grant?.session, polish: request.polish))
    }

    /// What a request to a port was let in with.
    /// - Returns: nil for a visitor of a public one. Who shows a good token there as well stays when it becomes private.
    /// - Throws: 401, 403 and what else speaks against it, for a private one.
    private func grant(
        _ request: GatewayRequest, _ tokens: [String], for port: Int, of route: RouteRecord
    ) async throws -> Grant? {
        let isPrivate = route.ports?.isPrivate(port) == true
        let head = request.exchange.head
        switch PortCredential.find(
            method: head.method, headers: head.headers, queryTokens: tokens, isUpgrade: request.upgrade != nil,
            form: request.resolution.form, authority: request.resolution.authority, scheme: request.scheme)
        {
        case .none where isPrivate:
            throw Problem(
                status: 401, code: .unauthenticated,
                message: "port \(port) of this sandbox is private: it needs the sandbox's token")
        case .refused(let problem) where isPrivate: throw problem
        case .none, .refused: return nil
        case .candidates(let candidates):
            do { return try await authorize(candidates, for: route) } catch let problem as Problem {
                if isPrivate { throw problem }
                return nil
            }
        }
    }

    // MARK: - Tokens

    /// What a request was let in with.
    struct Grant: Sendable {
        var bearer: String
        var token: AccessToken
        /// To be left when the request is done.
        var session: SessionUse
    }

    func leave(_ grant: Grant) { sessions.leave(grant.session, of: grant.token) }

    /// - Throws: 401 when none of the tokens verifies or its session is over, 403 when one does, but for something else.
    func authorize(_ candidates: [String], for route: RouteRecord) async throws -> Grant {
        var objection = Problem(
            status: 401, code: .unauthenticated, message: "the token is not valid, or not any more")
        for candidate in candidates {
            switch await keys.verdict(on: candidate) {
            case .valid(let token):
                if let problem = SidekickAccess.objection(to: token, route: route) {
                    objection = problem
                    continue
                }
                do throws(Problem) {
                    return Grant(bearer: candidate, token: token, session: try await sessions.enter(token))
                } catch {
                    objection = error
                }
            case .refused: continue
            case .noKeys: objection = .unavailable("tokens cannot be checked at the moment")
            }
        }
        throw objection
    }
}
