import Auth
import ComputeCore
import ComputeDomain
import Synchronization

/// The tokens that clients show to a compute. Who asks again within a minute has the same one again: it costs more to sign one
/// than all else that an answer takes.
final class SandboxTokens: Sendable {
    private static let usedAgain: Duration = .seconds(60)
    /// Some 600 bytes each.
    private static let most = 10_000

    /// All that a token depends on but the time.
    private struct Grant: Hashable {
        let computeID: ComputeID
        let group: GroupID
        let origins: [String]
        /// What the token must not outlive.
        let end: WallTime?
    }

    private struct Made {
        let token: String
        let at: WallTime
        let keyID: String
    }

    private let signer: TokenSigner
    private let clock: any WallClock
    private let made = Mutex<[Grant: Made]>([:])

    init(signer: TokenSigner, clock: any WallClock) {
        self.signer = signer
        self.clock = clock
    }

    /// Good for no longer than what it was asked for with.
    func token(for summary: ComputeSummary, _ caller: Caller) async throws(AuthError) -> String {
        let now = clock.now()
        let grant = Grant(
            computeID: summary.id, group: summary.group, origins: caller.origins,
            end: [caller.authority.expiresAt, caller.expiresAt].compactMap(\.self).min())
        let keyID = signer.keys.current(at: now).publicKey.kid
        if let earlier = made.withLock({ $0[grant] }), earlier.keyID == keyID,
            (.zero..<Self.usedAgain).contains(now - earlier.at)
        {
            return earlier.token
        }
        let end = now + AccessToken.defaultLifetime
        let token = try await signer.sign(
            AccessToken(
                computeID: summary.id, group: summary.group, kind: .access, tokenID: String.randomLabel(length: 20),
                issuedAt: now, expiresAt: grant.end.map { min($0, end) } ?? end, origins: caller.origins))
        made.withLock { made in
            if made.count >= Self.most { made.removeAll(keepingCapacity: true) }
            made[grant] = Made(token: token, at: now, keyID: keyID)
        }
        return token
    }
}
