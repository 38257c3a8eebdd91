package import ComputeCore
package import Crypto

/// A key that signs tokens, from some time on.
package struct SigningKey: Sendable {
    package let privateKey: Curve25519.Signing.PrivateKey
    package let publicKey: TokenPublicKey
    /// From then on it signs, until the next one does.
    package let from: WallTime

    package init(_ privateKey: Curve25519.Signing.PrivateKey, from: WallTime) {
        self.privateKey = privateKey
        self.publicKey = TokenPublicKey(privateKey.publicKey)
        self.from = from
    }
}

/// The keys of an installation in the order of their turn. A value: what is when follows from the times in it.
///
/// ```
///   announced ── its time comes ──▶ signing ── the next one's time comes ──▶ retired ── all it signed is over ──▶ gone
///   published                       published                               published
/// ```
package struct SigningKeys: Sendable {
    /// Never empty.
    package private(set) var all: [SigningKey]

    /// How long a key is published before it signs: verifiers ask for keys every minute, others keep the set for as long
    /// as its answer says.
    package static let announcement: Duration = .seconds(600)
    /// How long a set may be kept: well below the announcement.
    package static let cacheLifetime: Duration = .seconds(300)
    /// The longest life of a token: a session token of a compute, a year. Older ones are over.
    package static let retirement: Duration = .seconds(366 * 24 * 3600)

    /// - Returns: nil for no keys.
    package init?(_ keys: [SigningKey]) {
        guard !keys.isEmpty else { return nil }
        all = keys.sorted { $0.from < $1.from }
    }

    package init(only key: SigningKey) { all = [key] }

    /// The one that signs at `now`.
    package func current(at now: WallTime) -> SigningKey { all.last { $0.from <= now } ?? all[0] }

    /// With one more that signs after its announcement.
    package func adding(_ key: Curve25519.Signing.PrivateKey, now: WallTime) -> SigningKeys {
        var keys = self
        keys.all.append(SigningKey(key, from: max(now, all[all.count - 1].from) + Self.announcement))
        return keys
    }

    /// Only this one, and at once: every token that was signed before is good no longer.
    package static func replaced(by key: Curve25519.Signing.PrivateKey, now: WallTime) -> SigningKeys {
        SigningKeys(only: SigningKey(key, from: now))
    }

    /// Without those that signed nothing that could still be good.
    package func withoutTheOld(now: WallTime) -> SigningKeys {
        var keys = self
        let followers: [SigningKey?] = all.dropFirst().map(Optional.some) + [nil]
        keys.all = zip(all, followers).compactMap { key, next in
            if let next, next.from + Self.retirement <= now { nil } else { key }
        }
        return keys
    }

    /// Whether the last one has signed for so long that another one should be announced.
    package func isDue(now: WallTime, period: Duration) -> Bool {
        all[all.count - 1].from + period <= now + Self.announcement
    }
}
