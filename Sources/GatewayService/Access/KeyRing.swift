import APIContract
import Auth
import ComputeCore
import Logging

/// The public keys that tokens verify against. Fetched when a token names one that is not here yet, and every minute,
/// because a key that was withdrawn is good no longer.
actor KeyRing {
    private let api: InternalAPI
    private let clock: any WallClock
    private let logger: Logger
    private var verifier = TokenVerifier(keys: [])
    private var refresh: Task<Void, Never>?
    private var nextRefresh = ContinuousClock.now
    /// Anybody can send a token with an invented key id; keys change about never.
    private static let pause: Duration = .seconds(1)
    private static let longestTrust: Duration = .seconds(60)

    enum Verdict: Sendable {
        case valid(AccessToken)
        case refused(TokenRefusal)
        /// No answer is possible: there are no keys at all.
        case noKeys
    }

    init(api: InternalAPI, clock: any WallClock, logger: Logger) {
        self.api = api
        self.clock = clock
        self.logger = logger
    }

    func verdict(on token: String) async -> Verdict {
        let asked = loads
        let first = await Self.check(token, with: verifier, now: clock.now())
        guard case .refused(.unknownKey) = first else { return first }
        // Other requests run while this one awaits: the keys may have come meanwhile.
        if loads == asked { await refreshIfDue() }
        guard loads > 0 else { return .noKeys }
        return loads == asked ? first : await Self.check(token, with: verifier, now: clock.now())
    }

    /// Until cancelled. When keys cannot be had, those that were good stay so: an API that is down must not end what runs.
    func run() async {
        while (try? await Task.sleep(for: Self.longestTrust)) != nil { await refreshIfDue() }
    }

    /// How often keys arrived.
    private var loads = 0

    private static func check(_ token: String, with verifier: TokenVerifier, now: WallTime) async -> Verdict {
        do throws(TokenRefusal) {
            return .valid(try await verifier.verify(token, now: now))
        } catch {
            return .refused(error)
        }
    }

    /// One fetch at a time, and not often.
    private func refreshIfDue() async {
        if let refresh { return await refresh.value }
        guard ContinuousClock.now >= nextRefresh else { return }
        // Not a child of the asking request: others wait for it too, and its client may leave.
        let task = Task { await self.load() }
        refresh = task
        await task.value
    }

    private func load() async {
        defer {
            refresh = nil
            nextRefresh = .now.advanced(by: Self.pause)
        }
        do {
            let keys = try await api.keys().keys.map { try TokenPublicKey(x: $0.x) }
            verifier = TokenVerifier(keys: keys)
            loads += 1
        } catch {
            logger.warning("token keys could not be fetched", metadata: ["error": "\(error)"])
        }
    }
}
