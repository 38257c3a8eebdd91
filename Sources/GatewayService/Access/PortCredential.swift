import Auth
package import ComputeCore
package import NIOHTTP1

/// Our credential on the way to a port of a compute. Pure; the shell verifies the candidates.
///
/// `Authorization` and `?token=` are the app's own there, and count only when what they hold looks like ours.
package enum PortCredential {
    package enum Finding: Equatable, Sendable {
        case none
        case candidates([String])
        case refused(Problem)
    }

    package static let header = "x-computesdk-token"

    /// - Parameter queryTokens: those of the target that look like ours.
    package static func find(
        method: HTTPMethod, headers: HTTPHeaders, queryTokens: [String], isUpgrade: Bool, form: Resolution.Form,
        authority: Authority?, scheme: String
    ) -> Finding {
        let own = headers[header]
        // Whoever looked at the request before us may have read the other one.
        guard own.count <= 1 else {
            return .refused(.invalid("X-ComputeSDK-Token", "X-ComputeSDK-Token is there more than once"))
        }
        if let token = own.first { return .candidates([token]) }
        let bearers = headers["authorization"].compactMap(SidekickAccess.bearer).filter(OwnCredential.isOne)
        if let bearer = bearers.first { return .candidates([bearer]) }
        if let token = queryTokens.first { return .candidates([token]) }
        // In the path form every compute shares one origin, so a cookie proves nothing about who sends it.
        let cookies = form == .host ? Cookies.values(named: Cookies.sessionName(scheme: scheme), in: headers) : []
        guard !cookies.isEmpty else { return .none }
        guard
            SidekickAccess.sentByOwnPage(
                method: method, headers: headers, isUpgrade: isUpgrade, authority: authority, scheme: scheme)
        else {
            return .refused(
                Problem(status: 403, code: .forbidden, message: "a cookie counts only for requests of this origin"))
        }
        return .candidates(cookies)
    }

    /// Whether a browser that came with the token in the address is to keep it as a cookie and come again without: what the
    /// page loads further has no token in its address.
    package static func becomesCookie(
        method: HTTPMethod, headers: HTTPHeaders, queryTokens: [String], form: Resolution.Form
    ) -> Bool {
        form == .host && method == .GET && !queryTokens.isEmpty && headers.first(name: "sec-fetch-mode") == "navigate"
            && headers.first(name: "sec-fetch-dest") == "document"
    }
}
