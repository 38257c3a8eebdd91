package import APIContract
package import Auth
package import ComputeCore
package import NIOHTTP1

/// Who may talk to a Sidekick. Pure; the shell verifies the candidates and asks again with the claims.
package enum SidekickAccess {
    package enum Decision: Equatable, Sendable {
        /// A public route and no credential needed; goes on without any.
        case anonymous
        /// Goes on when one of these verifies for this compute.
        case needs([String])
        case refused(Problem)
    }

    package static func decide(
        method: HTTPMethod, path: Substring, headers: HTTPHeaders, queryTokens: [String], isUpgrade: Bool,
        form: Resolution.Form, authority: Authority?, scheme: String
    ) -> Decision {
        let isPublic =
            (method == .GET || method == .HEAD) && !isUpgrade && (path == "/" || path == "/health" || path == "/ready")
        if isPublic { return .anonymous }
        // Whoever looked at the request before us may have read the other one.
        guard headers["authorization"].count <= 1 else {
            return .refused(.invalid("authorization", "Authorization is there more than once"))
        }
        if let bearer = headers.first(name: "authorization").flatMap(bearer) { return .needs([bearer]) }
        if let token = queryTokens.first { return .needs([token]) }
        // In the path form every compute shares one origin, so a cookie proves nothing about who sends it.
        let cookies = form == .host ? Cookies.values(named: Cookies.sessionName(scheme: scheme), in: headers) : []
        guard !cookies.isEmpty else {
            return .refused(
                Problem(status: 401, code: .unauthenticated, message: "this sandbox needs its access token"))
        }
        guard
            sentByOwnPage(
                method: method, headers: headers, isUpgrade: isUpgrade, authority: authority, scheme: scheme)
        else {
            return .refused(
                Problem(status: 403, code: .forbidden, message: "a cookie counts only for requests of this origin"))
        }
        return .needs(cookies)
    }

    /// - Returns: why the bearer of `token` may not use this compute; nil when he may.
    package static func objection(to token: AccessToken, route: RouteRecord) -> Problem? {
        guard token.computeID == route.computeId, token.group == route.group else {
            return Problem(status: 403, code: .forbidden, message: "this token is for another sandbox")
        }
        return nil
    }

    /// The token of an `Authorization` header; the scheme's name is case-insensitive (RFC 9110 §11.1).
    package static func bearer(_ value: String) -> String? {
        guard value.utf8.count > 7, value.prefix(7).lowercased() == "bearer " else { return nil }
        let token = value.dropFirst(7).drop { $0 == " " }
        return token.isEmpty ? nil : String(token)
    }

    /// Browsers attach cookies to whatever any page asks for; what they say about that page, no page can forge.
    static func sentByOwnPage(
        method: HTTPMethod, headers: HTTPHeaders, isUpgrade: Bool, authority: Authority?, scheme: String
    ) -> Bool {
        let origin = headers.first(name: "origin")
        let originIsOwn = origin.map { authority?.isOrigin($0, scheme: scheme) ?? false }
        // No browser sends Sec-Fetch-* reliably with a WebSocket handshake, but all send Origin.
        if isUpgrade { return originIsOwn == true }
        if let originIsOwn { return originIsOwn }
        if headers.first(name: "sec-fetch-site") == "same-origin" { return true }
        return (method == .GET || method == .HEAD) && headers.first(name: "sec-fetch-mode") == "navigate"
            && headers.first(name: "sec-fetch-dest") == "document"
    }
}
