import ComputeCore
package import Crypto
import JWTKit

/// Makes access tokens. Only the API holds one.
package struct TokenSigner: Sendable {
    package let publicKey: TokenPublicKey
    private let key: EdDSA.PrivateKey

    package init(_ privateKey: Curve25519.Signing.PrivateKey) {
        self.publicKey = TokenPublicKey(privateKey.publicKey)
        self.key = EdDSA.PrivateKey(backing: privateKey)
    }

    /// - Returns: the JWT. Its times are whole seconds, rounded down.
    package func sign(_ token: AccessToken) async throws(AuthError) -> String {
        do {
            return try await JWTKeyCollection().add(eddsa: key).sign(
                TokenClaims(token), header: ["kid": .string(publicKey.kid)])
        } catch {
            throw AuthError(.signingFailed, "the token could not be signed", cause: error)
        }
    }
}
