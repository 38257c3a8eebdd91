package import ComputeCore
import Synchronization

/// How many requests a second; 0 is no limit.
package struct RateLimitSettings: Hashable, Sendable {
    /// Of one key, session or member, and of one compute with its own token.
    package var perCredential: Int64
    /// Of one address without any of them.
    package var perAddress: Int64

    package init(perCredential: Int64 = 500, perAddress: Int64 = 50) {
        self.perCredential = perCredential
        self.perAddress = perAddress
    }

    package static let off = RateLimitSettings(perCredential: 0, perAddress: 0)
}

/// Whose request it is.
package enum RateLimited: Hashable, Sendable {
    /// `key:<id>`, `session:<id>`, `member:<id>`; `sandbox:<id>` for an access token of that compute, `token:<id>` for a
    /// session token.
    case credential(String)
    /// Where it comes from, when it shows nothing that is good.
    case address(String)
}

/// The buckets of this instance, for its listeners' event loops. Several instances count each for itself: what is refused
/// here protects this process, and what a group may have in all is what quotas say.
package final class RateLimits: Sendable {
    /// Of each kind. A bucket takes some 100 bytes, so all of them some megabytes at most.
    package static let mostBuckets = 50_000

    private struct Buckets {
        var credentials: TokenBuckets<String>?
        var addresses: TokenBuckets<String>?
    }
    private let buckets: Mutex<Buckets>
    private let clock: any WallClock

    package init(_ settings: RateLimitSettings, clock: any WallClock) {
        self.clock = clock
        let now = clock.now()
        func buckets(_ limit: Int64) -> TokenBuckets<String>? {
            limit > 0 ? TokenBuckets(limit: limit, most: Self.mostBuckets, at: now) : nil
        }
        self.buckets = Mutex(
            Buckets(credentials: buckets(settings.perCredential), addresses: buckets(settings.perAddress)))
    }

    /// - Returns: nil where there is no limit.
    package func take(_ whose: RateLimited) -> Allowance? {
        let now = clock.now()
        return buckets.withLock { buckets in
            switch whose {
            case .credential(let name): buckets.credentials?.take(name, at: now)
            case .address(let address): buckets.addresses?.take(ClientAddress.place(address), at: now)
            }
        }
    }
}

extension Problem {
    static func rateLimited(_ allowance: Allowance) -> Problem {
        Problem(
            status: 429, code: .rateLimited,
            message: "more than \(allowance.limit) requests a second; RateLimit-Policy says what is allowed",
            retryAfterSeconds: Int(max(1, allowance.resetSeconds)))
    }
}
