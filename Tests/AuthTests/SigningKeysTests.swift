import Auth
import ComputeCore
import Crypto
import FoundationEssentials
import Testing

struct SigningKeysTests {
    let start = WallTime(milliseconds: 1_800_000_000_000)

    func key() -> Curve25519.Signing.PrivateKey { Curve25519.Signing.PrivateKey() }

    @Test func aKeyIsAnnouncedThenSignsThenIsRetiredThenIsGone() {
        let first = SigningKeys(only: SigningKey(key(), from: start))
        let two = first.adding(key(), now: start + .seconds(1000))
        let (old, new) = (two.all[0].publicKey, two.all[1].publicKey)
        let turn = start + .seconds(1000) + SigningKeys.announcement
        for (time, signing) in [(start, old), (turn + .milliseconds(-1), old), (turn, new)] {
            #expect(two.current(at: time).publicKey == signing)
            #expect(two.withoutTheOld(now: time).all.count == 2)
        }
        #expect(two.current(at: start + .seconds(-5)).publicKey == old, "a clock that was set back")
        let gone = turn + SigningKeys.retirement
        #expect(two.withoutTheOld(now: gone + .milliseconds(-1)).all.count == 2)
        #expect(two.withoutTheOld(now: gone).all.map(\.publicKey) == [new])
        // Two in a row: each has its announcement, in order.
        let three = two.adding(key(), now: start + .seconds(1001))
        #expect(three.all.map(\.from) == three.all.map(\.from).sorted() && three.all[2].from > three.all[1].from)
        #expect(SigningKeys([]) == nil)
    }

    @Test func theNextKeyIsDueSoThatItSignsWhenThePeriodIsOver() {
        let keys = SigningKeys(only: SigningKey(key(), from: start))
        let period = Duration.seconds(86_400)
        let due = start + period + (.zero - SigningKeys.announcement)
        #expect(!keys.isDue(now: due + .milliseconds(-1), period: period) && keys.isDue(now: due, period: period))
        let two = keys.adding(key(), now: due)
        #expect(two.all[1].from == start + period)
        #expect(!two.isDue(now: due, period: period))
    }

    private func kid(_ token: String) throws -> String? {
        let header = try #require([UInt8](base64URL: token.split(separator: ".")[0]))
        return try JSONDecoder().decode([String: String].self, from: Data(header))["kid"]
    }

    @Test func tokensOfEveryKeyThatIsPublishedVerifyAndThoseOfAWithdrawnOneDoNot() async throws {
        let signer = TokenSigner(SigningKeys(only: SigningKey(key(), from: start)))
        func token(at time: WallTime) async throws -> String {
            try await signer.sign(
                AccessToken(
                    computeID: .random(), group: .default, kind: .access, tokenID: "t", issuedAt: time,
                    expiresAt: time + .seconds(86_400)))
        }
        let now = start + .seconds(100)
        let old = try await token(at: now)
        signer.use(signer.keys.adding(key(), now: now))
        #expect(signer.publicKeys.count == 2)
        let turn = now + SigningKeys.announcement
        let (still, new) = (try await token(at: now), try await token(at: turn))
        #expect(try kid(old) == kid(still) && kid(old) != kid(new))
        for token in [old, still, new] { _ = try await signer.verifier.verify(token, now: turn) }
        signer.use(SigningKeys.replaced(by: key(), now: turn))
        for token in [old, still, new] {
            await #expect(throws: TokenRefusal.unknownKey) { try await signer.verifier.verify(token, now: turn) }
        }
        _ = try await signer.verifier.verify(try await token(at: turn), now: turn)
    }

    @Test func theTwoKindsOfTokensAreApart() async throws {
        let signer = TokenSigner(key())
        let session = APISessionToken(
            sessionID: "s", subject: "key:k", group: .default, role: "owner", scopes: ["a:b", "c:d"], issuedAt: start,
            expiresAt: start + .seconds(60))
        let text = try await signer.sign(session)
        #expect(try await signer.verifier.verifySession(text, now: start) == session)
        await #expect(throws: TokenRefusal.malformed) { try await signer.verifier.verify(text, now: start) }
        await #expect(throws: TokenRefusal.expired) {
            try await signer.verifier.verifySession(text, now: start + .seconds(60))
        }
        let access = try await signer.sign(
            AccessToken(
                computeID: .random(), group: .default, kind: .access, tokenID: "t", issuedAt: start,
                expiresAt: start + .seconds(60), origins: ["k"]))
        #expect(try await signer.verifier.verify(access, now: start).origins == ["k"])
        await #expect(throws: TokenRefusal.malformed) { try await signer.verifier.verifySession(access, now: start) }
    }
}
