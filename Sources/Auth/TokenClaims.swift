import ComputeCore
import JWTKit

/// The payload as it is signed.
struct TokenClaims: JWTPayload {
    var iss: String
    var sub: ComputeID
    var grp: GroupID
    var typ: TokenKind
    var jti: String
    var iat: Int64
    var exp: Int64
    /// Absent when there are none, as in tokens that were made before.
    var org: [String]?

    /// Times are whole seconds in a JWT: rounded down, so that no token lives longer than was said.
    init(_ token: AccessToken) {
        iss = AccessToken.issuer
        sub = token.computeID
        grp = token.group
        typ = token.kind
        jti = token.tokenID
        iat = token.issuedAt.milliseconds / 1000
        exp = token.expiresAt.milliseconds / 1000
        org = token.origins.isEmpty ? nil : token.origins
    }

    /// The time is the caller's, so issuer and expiry are checked after the signature, by `token(now:)`.
    func verify(using algorithm: some JWTAlgorithm) async throws {}

    func token(now: WallTime) throws(TokenRefusal) -> AccessToken {
        guard iss == AccessToken.issuer else { throw .wrongIssuer }
        let (expiry, overflow) = exp.multipliedReportingOverflow(by: 1000)
        let (issued, issuedOverflow) = iat.multipliedReportingOverflow(by: 1000)
        guard !overflow, !issuedOverflow else { throw .malformed }
        guard now.milliseconds < expiry else { throw .expired }
        return AccessToken(
            computeID: sub, group: grp, kind: typ, tokenID: jti, issuedAt: WallTime(milliseconds: issued),
            expiresAt: WallTime(milliseconds: expiry), origins: org ?? [])
    }
}
