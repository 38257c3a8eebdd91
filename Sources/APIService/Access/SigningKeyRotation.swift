package import Auth
package import ComputeCore
import ComputeDomain
import Crypto
package import EventSourcing
import Logging
import ServiceLifecycle

/// Where the keys that sign tokens are kept.
package protocol SigningKeyStore: Sendable {
    /// - Returns: nil when there are none yet.
    func load() throws -> SigningKeys?
    /// Whole or not at all.
    func save(_ keys: SigningKeys) throws
}

/// Gives the signer another key when it is time, or when somebody says so: written down first, announced, then used.
package actor SigningKeyRotation: Service {
    private let signer: TokenSigner
    private let store: (any SigningKeyStore)?
    private let log: any EventStore
    private let clock: any WallClock
    private let period: Duration
    private let logger: Logger
    /// Verifiers ask that often.
    private static let pause: Duration = .seconds(60)

    /// - Parameters:
    ///   - store: nil: the keys are somebody else's, and never change here.
    ///   - period: how long one key signs.
    init(
        signer: TokenSigner, store: (any SigningKeyStore)?, log: any EventStore, clock: any WallClock, period: Duration,
        logger: Logger
    ) {
        self.signer = signer
        self.store = store
        self.log = log
        self.clock = clock
        self.period = period
        self.logger = logger
    }

    /// - Parameter withdrawsOld: for a key that leaked: only the new one is good, from now on.
    /// - Throws: 409 where keys cannot change, 503 when they cannot be written down.
    package func rotate(withdrawsOld: Bool, by metadata: EventMetadata = .system) async throws(Problem) {
        guard let store else {
            throw Problem(
                status: 409, code: .unsupported, message: "this server's signing keys are not its own to change")
        }
        do {
            let key = Curve25519.Signing.PrivateKey()
            _ = try next(key, withdrawsOld, store)
            // First on record, then done: a key that nobody knows of never signs. Should the second fail, the record names
            // one that never did.
            try await record(TokenPublicKey(key.publicKey).kid, withdrawsOld, metadata)
            // Read again, as somebody else may have been here meanwhile.
            let next = try next(key, withdrawsOld, store)
            try store.save(next)
            signer.use(next)
        } catch let problem as Problem {
            throw problem
        } catch {
            logger.failure("signing keys could not be changed", error)
            throw .unavailable("the signing keys cannot be changed at the moment")
        }
    }

    private func next(
        _ key: Curve25519.Signing.PrivateKey, _ withdrawsOld: Bool, _ store: any SigningKeyStore
    ) throws -> SigningKeys {
        let now = clock.now()
        let held = try store.load() ?? signer.keys
        let next =
            withdrawsOld ? SigningKeys.replaced(by: key, now: now) : held.withoutTheOld(now: now).adding(key, now: now)
        guard next.all.count <= Self.most else {
            throw Problem(
                status: 409, code: .conflict,
                message: "there are \(Self.most) signing keys whose tokens may still be good; withdraw them, or wait")
        }
        return next
    }

    /// A stream for each key: they never wait for each other.
    private func record(_ kid: String, _ withdrawsOld: Bool, _ metadata: EventMetadata) async throws {
        let event = SigningKeyEvent.announced(kid: kid, withdrawsOthers: withdrawsOld)
        _ = try await log.commit(
            Commit(
                appends: [
                    StreamAppend(
                        stream: .signingKey(kid), group: .default, expectedVersion: 0, events: [event.recorded])
                ], metadata: metadata, occurredAt: clock.now()))
    }

    /// All are published, in one answer.
    private static let most = 64

    /// What others wrote down is taken over; what is due is done.
    package func look() async {
        guard let store else { return }
        do {
            if let held = try store.load() { signer.use(held) }
            guard signer.keys.isDue(now: clock.now(), period: period) else { return }
            try await rotate(withdrawsOld: false)
            logger.info("a new signing key was announced")
        } catch {
            logger.failure("signing keys could not be looked at", error)
        }
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            repeat { await self.look() } while (try? await Task.sleep(for: Self.pause)) != nil
        }
    }
}
