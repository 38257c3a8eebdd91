package import ComputeCore
import JWTKit

/// Checks access tokens against the public keys of the API. Holds no secret and reads no clock.
///
/// Whether the token is for *this* compute, and not revoked, is the caller's to check on the claims.
package struct TokenVerifier: Sendable {
    private let keys: [String: EdDSA.PublicKey]

    package init(keys: [TokenPublicKey]) {
        self.keys = Dictionary(
            keys.map { ($0.kid, EdDSA.PublicKey(backing: $0.key)) }, uniquingKeysWith: { first, _ in first })
    }

    /// Longer tokens are not ours, and not worth decoding.
    private static let maximumLength = 4096

    package func verify(_ token: String, now: WallTime) async throws(TokenRefusal) -> AccessToken {
        try await claims(of: token, as: TokenClaims.self).token(now: now)
    }

    package func verifySession(_ token: String, now: WallTime) async throws(TokenRefusal) -> APISessionToken {
        try await claims(of: token, as: APISessionClaims.self).token(now: now)
    }

    private func claims<Claims: JWTPayload>(
        of token: String, as type: Claims.Type
    ) async throws(TokenRefusal) -> Claims {
        guard token.utf8.count <= Self.maximumLength else { throw .malformed }
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        // Strictly base64url, so that one token has one spelling.
        guard parts.count == 3, !parts[0].isEmpty, let header = [UInt8](base64URL: parts[0]),
            [UInt8](base64URL: parts[1]) != nil,
            [UInt8](base64URL: parts[2]) != nil,
            case .object(let fields)? = try? JSONDocument.parse(header)
        else { throw .malformed }
        // The algorithm is ours to choose: a header may only agree. Else a public key could be used as an HMAC secret.
        guard fields["alg"] == .string("EdDSA"), fields["crit"] == nil else { throw .wrongAlgorithm }
        guard case .string(let kid)? = fields["kid"], let key = keys[kid] else { throw .unknownKey }
        do {
            // A collection of this key alone: one of several falls back to its first key for an unknown kid.
            return try await JWTKeyCollection().add(eddsa: key).verify(token, as: type)
        } catch let error as JWTError where error.errorType == .signatureVerificationFailed {
            throw .badSignature
        } catch {
            throw .malformed
        }
    }
}
