package import ComputeCore

/// Fetches the public documents of an issuer: a deadline, no redirect, at most a megabyte are its business.
package protocol DocumentSource: Sendable {
    func document(at url: String) async throws -> [UInt8]
}

/// Whom a token of an external issuer is about.
package struct ExternalIdentity: Hashable, Sendable {
    package var issuer: String
    package var subject: String
    package var expiresAt: WallTime

    package init(issuer: String, subject: String, expiresAt: WallTime) {
        self.issuer = issuer
        self.subject = subject
        self.expiresAt = expiresAt
    }
}

/// An OpenID provider whose tokens are trusted: found by discovery, its keys fetched, kept and fetched again.
///
/// The one URL that it is made with decides everything: what it fetches is below it or named by what it fetched there,
/// and never by a token.
package actor ExternalIssuer {
    package enum Verdict: Hashable, Sendable {
        case valid(ExternalIdentity)
        case refused(TokenRefusal)
        /// There are no keys to check it with.
        case unavailable
    }

    package nonisolated let issuer: String
    private let audience: String
    private let source: any DocumentSource
    private let clock: any WallClock
    private var keys = ExternalKeys(keys: [:])
    private var fetchedAt: WallTime?
    private var triedAt: WallTime?
    private var fetching: Task<ExternalKeys?, Never>?

    /// Keys that are older are fetched again before they are used, so that a withdrawn one ends.
    private static let freshness: Duration = .seconds(600)
    /// An issuer that is down does not lock everybody out at once; its old keys are good for a day.
    private static let longestTrust: Duration = .seconds(24 * 3600)
    /// Anybody can send a token with an invented key id.
    private static let pause: Duration = .seconds(10)

    /// - Parameter audience: what `aud` of a token must name: a token that was made for another program is none for us.
    package init(issuer: String, audience: String, source: any DocumentSource, clock: any WallClock) {
        self.issuer = issuer
        self.audience = audience
        self.source = source
        self.clock = clock
    }

    package func verdict(on token: String) async -> Verdict {
        let now = clock.now()
        if fetchedAt.map({ $0 + Self.freshness <= now }) ?? true { await refresh() }
        guard let fetchedAt, now < fetchedAt + Self.longestTrust else { return .unavailable }
        var verdict = await check(token)
        if case .refused(.unknownKey) = verdict {
            // It may be newer than our keys.
            await refresh()
            verdict = await check(token)
        }
        return verdict
    }

    private func check(_ token: String) async -> Verdict {
        let (keys, issuer, audience, now) = (keys, issuer, audience, clock.now())
        do throws(TokenRefusal) {
            return .valid(try await keys.verify(token, issuer: issuer, audience: audience, now: now))
        } catch {
            return .refused(error)
        }
    }

    /// One fetch at a time, and not often.
    private func refresh() async {
        if fetching == nil {
            let now = clock.now()
            guard triedAt.map({ $0 + Self.pause <= now }) ?? true else { return }
            triedAt = now
            let (source, issuer) = (source, issuer)
            // Not a child of the asking request: others wait for it too, and its client may leave.
            fetching = Task { try? await ExternalKeys.discovered(issuer: issuer, source) }
        }
        guard let task = fetching else { return }
        let found = await task.value
        guard fetching == task else { return }
        fetching = nil
        if let found {
            keys = found
            fetchedAt = clock.now()
        }
    }
}
