package import ComputeCore

/// A bucket for each of those who ask, and for no more than `most` of them. A value.
///
/// A full bucket is as good as none, so it is forgotten: those that nobody took from for a second, all at once, without
/// looking at any of them.
///
/// ```
///   take ──▶ young ── a second ──▶ old ── another one ──▶ full, forgotten
///              ▲                    │
///              └──── taken from ────┘
/// ```
package struct TokenBuckets<Key: Hashable & Sendable>: Sendable {
    package let limit: Int64
    package let most: Int
    private var young: [Key: TokenBucket] = [:]
    private var old: [Key: TokenBucket] = [:]
    private var turnedAt: WallTime
    /// Where there is no room for a bucket of their own, newcomers share one. Those who have one keep it.
    private var shared: TokenBucket

    /// - Parameter limit: requests a second of each, at least 1.
    package init(limit: Int64, most: Int, at now: WallTime) {
        self.limit = limit
        self.most = most
        turnedAt = now
        shared = TokenBucket(limit: limit, at: now)
    }

    package var count: Int { young.count + old.count }

    package mutating func take(_ key: Key, at now: WallTime) -> Allowance {
        turn(at: now)
        if young[key] == nil {
            if let kept = old.removeValue(forKey: key) {
                young[key] = kept
            } else {
                guard count < most else { return shared.take(at: now) }
                young[key] = TokenBucket(limit: limit, at: now)
            }
        }
        return young[key]?.take(at: now) ?? shared.take(at: now)
    }

    private mutating func turn(at now: WallTime) {
        let passed = now - turnedAt
        // Set back, the clock says nothing of how long a bucket has rested; the second begins anew.
        if passed < .zero { turnedAt = now }
        guard passed >= TokenBucket.refillTime else { return }
        old = young
        young = [:]
        turnedAt = now
    }
}
