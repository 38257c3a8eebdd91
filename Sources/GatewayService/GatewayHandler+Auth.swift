import APIContract
import Auth
import ComputeCore
import HTTPServing
import NIOHTTP1

extension GatewayHandler {
    /// `/auth/*` of a compute is the API's. It gets the token that was verified here and none that was not, in one
    /// place, whichever way the client sent it.
    func toAuth(_ request: GatewayRequest, _ id: ComputeID) async throws {
        if request.isPreflight { return try await request.answerPreflight() }
        let route = try await directory.route(for: id)
        let exchange = request.exchange
        var headers = request.forwardedHeaders()
        for name in ["authorization", "cookie", "referer", "x-computesdk-token", "x-computesdk-api-key"] {
            headers.remove(name: name)
        }
        headers.add(name: AuthHeader.computeID, value: id.rawValue)
        let path = RequestTarget.path(of: request.resolution.authPath)
        let need = AuthAccess.need(method: exchange.head.method, path: path)
        guard need != .nothing else {
            return try await toAPI(request, request.head(target: request.resolution.target, headers: headers))
        }
        let (target, tokens) = QueryToken.cut(from: request.resolution.target)
        let decision = SidekickAccess.decide(
            method: exchange.head.method, path: path, headers: exchange.head.headers, queryTokens: tokens,
            isUpgrade: request.upgrade != nil, form: request.resolution.form,
            authority: request.resolution.authority, scheme: request.scheme)
        guard let grant = try await grant(decision, need, for: route) else {
            return try await toAPI(request, request.head(target: target, headers: headers))
        }
        defer { leave(grant) }
        headers.add(name: "Authorization", value: "Bearer " + grant.bearer)
        let (sessions, polish) = (sessions, request.polish)
        try await toAPI(request, request.head(target: target, headers: headers), session: grant.session) { headers in
            // Before the client is told of it: what it is told holds from then on.
            if let (session, expiresAt) = headers.first(name: AuthHeader.revoked).flatMap(AuthHeader.revoked(in:)) {
                sessions.revoked(
                    SessionRecord(sessionId: session, computeId: id, isRevoked: true, expiresAt: expiresAt))
            }
            headers.remove(name: AuthHeader.revoked)
            polish(&headers)
        }
    }

    /// - Returns: nil for a request that goes on without a token.
    private func grant(
        _ decision: SidekickAccess.Decision, _ need: AuthAccess.Need, for route: RouteRecord
    ) async throws -> Grant? {
        do {
            switch decision {
            case .anonymous: return nil
            case .refused(let problem): throw problem
            case .needs(let candidates): return try await authorize(candidates, for: route)
            }
        } catch let problem as Problem where need == .optional && (problem.status == 401 || problem.status == 403) {
            return nil
        }
    }
}

extension Resolution {
    /// The target from `/auth/` on.
    var authPath: Substring {
        guard form == .path, let auth = target.firstRange(of: "/auth/") else { return target[...] }
        return target[auth.lowerBound...]
    }
}
