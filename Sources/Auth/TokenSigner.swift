import ComputeCore
package import Crypto
import JWTKit
import Synchronization

/// Makes tokens. Only the API holds one. Its keys change under it when they are rotated.
package final class TokenSigner: Sendable {
    private struct State: Sendable {
        var keys: SigningKeys
        var verifier: TokenVerifier
        /// By the id of the key: to make one ready takes as long as to sign with it.
        var ready: [String: JWTKeyCollection] = [:]

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
        let id = key.publicKey.kid
        do {
            return try await ready(key).sign(claims, header: ["kid": .string(id)])
        } catch {
            throw AuthError(.signingFailed, "the token could not be signed", cause: error)
        }
    }

    private func ready(_ key: SigningKey) async -> JWTKeyCollection {
        let id = key.publicKey.kid
        if let ready = state.withLock({ $0.ready[id] }) { return ready }
        let made = await JWTKeyCollection().add(eddsa: EdDSA.PrivateKey(backing: key.privateKey))
        // Of a key that was taken away meanwhile nothing is kept.
        state.withLock { state in
            if state.keys.all.contains(where: { $0.publicKey.kid == id }) { state.ready[id] = made }
        }
        return made
    }
}
