import Auth
package import NIOHTTP1

/// Our credentials on the way to a user's server, which must never see one: not a valid one, not one that has expired,
/// not one of another compute. What only has the same name (an app's own `?token=`, its own bearer) passes.
package enum OwnCredential {
    package static func isOne(_ text: some StringProtocol) -> Bool {
        AccessToken.hasOwnShape(text) || APIKey.hasOwnShape(text)
    }

    /// - Returns: the target without the `token` pairs that hold a credential of ours.
    package static func cut(from target: String) -> String { found(in: target).target }

    /// The same, and what those pairs held.
    package static func found(in target: String) -> (target: String, tokens: [String]) {
        QueryToken.cut(from: target, where: isOne)
    }

    /// `Authorization` on a port host belongs to the app, unless a client put ours into it.
    package static func removeAuthorization(from headers: inout HTTPHeaders) {
        let isOurs = headers["authorization"].contains { SidekickAccess.bearer($0).map(isOne) ?? isOne($0) }
        if isOurs { headers.remove(name: "authorization") }
    }
}
