package import ComputeCore

/// What a token lets its bearer do.
package enum TokenKind: String, Codable, Hashable, Sendable {
    /// Everything on one compute's Sidekick, sessions and magic links included.
    case access
    /// Delegated and revocable; not allowed to make further tokens.
    case session
}

/// The claims of a token for one compute: an EdDSA JWT with iss, sub (compute id), grp, typ, jti, iat and exp.
package struct AccessToken: Hashable, Sendable {
    package static let issuer = "computesdk"
    /// The contract's default life of an access token: 7 days.
    package static let defaultLifetime: Duration = .seconds(7 * 24 * 3600)

    package var computeID: ComputeID
    package var group: GroupID
    package var kind: TokenKind
    package var tokenID: String
    package var issuedAt: WallTime
    package var expiresAt: WallTime
    /// The credentials of the API that it came of: a session, its key, that key's member. It ends with any of them.
    package var origins: [String]

    package init(
        computeID: ComputeID, group: GroupID, kind: TokenKind, tokenID: String, issuedAt: WallTime, expiresAt: WallTime,
        origins: [String] = []
    ) {
        self.computeID = computeID
        self.group = group
        self.kind = kind
        self.tokenID = tokenID
        self.issuedAt = issuedAt
        self.expiresAt = expiresAt
        self.origins = origins
    }
}
