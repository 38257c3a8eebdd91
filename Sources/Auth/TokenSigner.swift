import ComputeCore
package import Crypto
import JWTKit
import Synchronization

/// Makes tokens. Only the API holds one. Its keys change under it when they are rotated.
package final class TokenSigner: Sendable {
    private struct State: Sendable {
        var keys: SigningKeys
        var verifier: TokenVerifier

        init(_ keys: SigningKeys) {
            self.keys = keys
            verifier = TokenVerifier(keys: keys.all.map(\.publicKey))
        }
    }

    private let state: Mutex<State>

    package init(_ keys: SigningKeys) { state = Mutex(State(keys)) }

    package convenience init(_ privateKey: Curve25519.Signing.PrivateKey) {
        self.init(SigningKeys(only: SigningKey(privateKey, from: WallTime(milliseconds: 0))))
    }

    package var keys: SigningKeys { state.withLock { $0.keys } }
    package func use(_ keys: SigningKeys) { state.withLock { $0 = State(keys) } }

    /// What tokens verify against, newest first.
    package var publicKeys: [TokenPublicKey] { keys.all.reversed().map(\.publicKey) }
    package var publicKey: TokenPublicKey { publicKeys[0] }
    package var verifier: TokenVerifier { state.withLock { $0.verifier } }

    /// - Returns: the JWT. Its times are whole seconds, rounded down.
    package func sign(_ token: AccessToken) async throws(AuthError) -> String {
        try await sign(TokenClaims(token), at: token.issuedAt)
    }

    package func sign(_ token: APISessionToken) async throws(AuthError) -> String {
        try await sign(APISessionClaims(token), at: token.issuedAt)
    }

    private func sign(_ claims: some JWTPayload, at now: WallTime) async throws(AuthError) -> String {
        let key = keys.current(at: now)
        do {
            return try await JWTKeyCollection().add(eddsa: EdDSA.PrivateKey(backing: key.privateKey)).sign(
                claims, header: ["kid": .string(key.publicKey.kid)])
        } catch {
            throw AuthError(.signingFailed, "the token could not be signed", cause: error)
        }
    }
}
