import ComputeCore
package import Crypto
import FoundationEssentials

/// A key that access tokens verify against.
package struct TokenPublicKey: Hashable, Sendable {
    /// The first 16 hex digits of SHA-256 of the public key: the same everywhere, without being handed around.
    package let kid: String
    /// The key's 32 bytes.
    package let rawRepresentation: [UInt8]
    let key: Curve25519.Signing.PublicKey

    package init(_ key: Curve25519.Signing.PublicKey) {
        self.key = key
        self.rawRepresentation = Array(key.rawRepresentation)
        self.kid = String(SHA256.hash(data: rawRepresentation).hex.prefix(16))
    }

    /// - Throws: `.badKey` unless it is 32 bytes.
    package init(rawRepresentation bytes: [UInt8]) throws(AuthError) {
        do {
            self.init(try Curve25519.Signing.PublicKey(rawRepresentation: bytes))
        } catch {
            throw AuthError(.badKey, "not an Ed25519 public key", cause: error)
        }
    }

    /// From `x` of a JWK: base64url without padding.
    package init(x: String) throws(AuthError) {
        guard let bytes = [UInt8](base64URL: x) else { throw AuthError(.badKey, "the key's x is not base64url") }
        try self.init(rawRepresentation: bytes)
    }

    /// As a JWK spells it.
    package var x: String { rawRepresentation.base64URL }

    package static func == (a: Self, b: Self) -> Bool { a.rawRepresentation == b.rawRepresentation }
    package func hash(into hasher: inout Hasher) { hasher.combine(rawRepresentation) }
}
