import APIContract
import Auth
import ComputeCore
import Logging

/// The public keys that tokens verify against, fetched when a token names one that is not here yet.
actor KeyRing {
    private let fetch: @Sendable () async throws(GatewayError) -> TokenKeys
    private let clock: any WallClock
    private let logger: Logger
    private var verifier = TokenVerifier(keys: [])
    private var refresh: Task<Bool, Never>?
    private var nextRefresh = ContinuousClock.now
    /// Anybody can send a token with an invented key id; keys change about never.
    private static let pause: Duration = .seconds(1)

    enum Verdict: Sendable {
        case valid(AccessToken)
        case refused(TokenRefusal)
        /// No answer is possible: there are no keys at all.
        case noKeys
    }

    init(fetch: @escaping @Sendable () async throws(GatewayError) -> TokenKeys, clock: any WallClock, logger: Logger) {
        self.fetch = fetch
        self.clock = clock
        self.logger = logger
    }

    func verdict(on token: String) async -> Verdict {
        let first = await Self.check(token, with: verifier, now: clock.now())
        guard case .refused(.unknownKey) = first else { return first }
        guard await refreshed() else { return hasKeys ? first : .noKeys }
        return await Self.check(token, with: verifier, now: clock.now())
    }

    private var hasKeys = false

    private static func check(_ token: String, with verifier: TokenVerifier, now: WallTime) async -> Verdict {
        do throws(TokenRefusal) {
            return .valid(try await verifier.verify(token, now: now))
        } catch {
            return .refused(error)
        }
    }

    /// One fetch at a time, and not often; true when one was made and succeeded.
    private func refreshed() async -> Bool {
        if let refresh { return await refresh.value }
        guard ContinuousClock.now >= nextRefresh else { return false }
        // Not a child of the asking request: others wait for it too, and its client may leave.
        let task = Task { await self.load() }
        refresh = task
        let succeeded = await task.value
        return succeeded
    }

    private func load() async -> Bool {
        defer {
            refresh = nil
            nextRefresh = .now.advanced(by: Self.pause)
        }
        do {
            let keys = try await fetch().keys.map { try TokenPublicKey(x: $0.x) }
            verifier = TokenVerifier(keys: keys)
            hasKeys = !keys.isEmpty
            return true
        } catch {
            logger.warning("token keys could not be fetched", metadata: ["error": "\(error)"])
            return false
        }
    }
}
