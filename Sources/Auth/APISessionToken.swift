package import ComputeCore
import JWTKit

/// The claims of a session of the API: an EdDSA JWT that opens no compute. What it says of role and scopes is for whoever
/// reads it; the API goes by the session's record.
package struct APISessionToken: Hashable, Sendable {
    /// Tokens of computes have no audience, and another `typ`: neither is ever taken for the other.
    package static let audience = "computesdk-api"

    package var sessionID: String
    /// The credential that bought it: `key:<id>` or `member:<id>`.
    package var subject: String
    package var group: GroupID
    package var role: String
    /// nil: all that the role may.
    package var scopes: [String]?
    package var issuedAt: WallTime
    package var expiresAt: WallTime

    package init(
        sessionID: String, subject: String, group: GroupID, role: String, scopes: [String]?, issuedAt: WallTime,
        expiresAt: WallTime
    ) {
        self.sessionID = sessionID
        self.subject = subject
        self.group = group
        self.role = role
        self.scopes = scopes
        self.issuedAt = issuedAt
        self.expiresAt = expiresAt
    }
}

/// The payload as it is signed.
struct APISessionClaims: JWTPayload {
    /// The one value that `typ` may have.
    enum Kind: String, Codable { case api }

    var iss: String
    var aud: String
    var sub: String
    var grp: GroupID
    var typ: Kind
    var jti: String
    var role: String
    /// As OAuth spells it: with spaces between.
    var scope: String?
    var iat: Int64
    var exp: Int64

    init(_ token: APISessionToken) {
        iss = AccessToken.issuer
        aud = APISessionToken.audience
        sub = token.subject
        grp = token.group
        typ = .api
        jti = token.sessionID
        role = token.role
        scope = token.scopes?.joined(separator: " ")
        iat = token.issuedAt.milliseconds / 1000
        exp = token.expiresAt.milliseconds / 1000
    }

    /// As in `TokenClaims`: the time is the caller's.
    func verify(using algorithm: some JWTAlgorithm) async throws {}

    func token(now: WallTime) throws(TokenRefusal) -> APISessionToken {
        guard iss == AccessToken.issuer else { throw .wrongIssuer }
        guard aud == APISessionToken.audience else { throw .wrongAudience }
        let (expiry, overflow) = exp.multipliedReportingOverflow(by: 1000)
        let (issued, issuedOverflow) = iat.multipliedReportingOverflow(by: 1000)
        guard !overflow, !issuedOverflow else { throw .malformed }
        guard now.milliseconds < expiry else { throw .expired }
        return APISessionToken(
            sessionID: jti, subject: sub, group: grp, role: role,
            scopes: scope.map { $0.split(separator: " ").map(String.init) },
            issuedAt: WallTime(milliseconds: issued), expiresAt: WallTime(milliseconds: expiry))
    }
}
