import Auth
import ComputeCore
import Crypto
import FoundationEssentials
import Testing

struct TokenTests {
    let key = Curve25519.Signing.PrivateKey()
    let now = WallTime(milliseconds: 1_800_000_000_000)
    var signer: TokenSigner { TokenSigner(key) }
    var verifier: TokenVerifier { TokenVerifier(keys: [signer.publicKey]) }

    func token(kind: TokenKind = .access, life: Duration = .seconds(60)) -> AccessToken {
        AccessToken(
            computeID: .random(), group: .default, kind: kind, tokenID: "t1", issuedAt: now, expiresAt: now + life)
    }

    /// A token made by hand, signed well unless told otherwise.
    func forge(
        header: String? = nil, claims: [String: String] = [:], sign: ((Data) throws -> Data)? = nil
    ) throws -> String {
        let header = header ?? #"{"alg":"EdDSA","kid":"\#(signer.publicKey.kid)"}"#
        var fields = [
            "iss": #""computesdk""#, "sub": #""abcdefghij0123456789""#, "grp": #""default""#, "typ": #""access""#,
            "jti": #""t1""#, "iat": "1800000000", "exp": "1800000060",
        ]
        for (name, value) in claims { fields[name] = value.isEmpty ? nil : value }
        let payload = "{" + fields.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
        let signed = base64URL(Data(header.utf8)) + "." + base64URL(Data(payload.utf8))
        let signature = try (sign ?? { try key.signature(for: $0) })(Data(signed.utf8))
        return signed + "." + base64URL(signature)
    }

    func base64URL(_ data: Data) -> String {
        data.base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    func refusal(_ token: String, at time: WallTime? = nil, by other: TokenVerifier? = nil) async -> TokenRefusal? {
        do {
            _ = try await (other ?? verifier).verify(token, now: time ?? now)
            return nil
        } catch { return error }
    }

    @Test(arguments: [TokenKind.access, .session])
    func whatWasSignedComesBack(kind: TokenKind) async throws {
        let token = token(kind: kind)
        #expect(try await verifier.verify(try await signer.sign(token), now: now) == token)
    }

    @Test func aTokenMadeByHandIsAcceptedSoThatTheForgeriesBelowFailForTheirOwnReason() async throws {
        #expect(await refusal(try forge()) == nil)
    }

    @Test func aTokenEndsAtItsExpiry() async throws {
        let text = try await signer.sign(token())
        #expect(await refusal(text, at: WallTime(milliseconds: now.milliseconds + 59_999)) == nil)
        #expect(await refusal(text, at: now + .seconds(60)) == .expired)
    }

    @Test func otherAlgorithmsAreRefused() async throws {
        let kid = signer.publicKey.kid
        let publicKey = key.publicKey.rawRepresentation
        #expect(await refusal(try forge(header: #"{"alg":"none","kid":"\#(kid)"}"#) { _ in Data() }) == .wrongAlgorithm)
        #expect(
            await refusal(
                try forge(header: #"{"alg":"HS256","kid":"\#(kid)"}"#) { signed in
                    Data(HMAC<SHA256>.authenticationCode(for: signed, using: SymmetricKey(data: publicKey)))
                }) == .wrongAlgorithm)
        #expect(await refusal(try forge(header: #"{"kid":"\#(kid)"}"#)) == .wrongAlgorithm)
        #expect(
            await refusal(try forge(header: #"{"alg":"EdDSA","crit":["x"],"kid":"\#(kid)"}"#)) == .wrongAlgorithm)
    }

    @Test func keysThatAreNotOursAreRefused() async throws {
        #expect(await refusal(try forge(header: #"{"alg":"EdDSA"}"#)) == .unknownKey)
        #expect(await refusal(try forge(header: #"{"alg":"EdDSA","kid":"other"}"#)) == .unknownKey)
        let stranger = Curve25519.Signing.PrivateKey()
        #expect(await refusal(try forge { try stranger.signature(for: $0) }) == .badSignature)
        #expect(await refusal(try await TokenSigner(stranger).sign(token())) == .unknownKey)
        #expect(await refusal(try forge(), by: TokenVerifier(keys: [])) == .unknownKey)
    }

    @Test func changedTokensAreRefused() async throws {
        let parts = try forge().split(separator: ".").map(String.init)
        let other = try forge(claims: ["sub": #""zbcdefghij0123456789""#]).split(separator: ".").map(String.init)
        #expect(await refusal("\(parts[0]).\(other[1]).\(parts[2])") == .badSignature)
        #expect(await refusal("\(parts[0]).\(parts[1]).") == .badSignature)
    }

    @Test(arguments: [
        ("iss", #""somebody""#, TokenRefusal.wrongIssuer), ("iss", "", .malformed), ("typ", #""admin""#, .malformed),
        ("typ", "", .malformed), ("exp", "", .malformed), ("exp", #""never""#, .malformed),
        ("exp", "1e300", .malformed),
        ("exp", "9223372036854775807", .malformed), ("exp", "-1", .expired), ("sub", #""../etc""#, .malformed),
        ("sub", "", .malformed), ("grp", "7", .malformed), ("jti", "", .malformed),
    ])
    func wronglyClaimedIsRefused(claim: String, value: String, refusal expected: TokenRefusal) async throws {
        #expect(await refusal(try forge(claims: [claim: value])) == expected)
    }

    @Test(arguments: [
        "", ".", "..", "...", "a.b.c", "{}.{}.{}", String(repeating: "a", count: 100_000),
        String(repeating: ".", count: 4000), "W10.W10.W10", "é.é.é",
    ])
    func garbageIsMalformed(text: String) async { #expect(await refusal(text) == .malformed) }

    @Test func everyTruncationIsRefused() async throws {
        let text = try await signer.sign(token())
        for length in 0..<text.utf8.count { #expect(await refusal(String(text.prefix(length))) != nil) }
    }

    @Test func aKeyRoundTripsThroughItsJWKForm() throws {
        let publicKey = signer.publicKey
        #expect(try TokenPublicKey(x: publicKey.x) == publicKey)
        #expect(publicKey.kid.wholeMatch(of: /[0-9a-f]{16}/) != nil)
        #expect(throws: AuthError.self) { try TokenPublicKey(x: "AAAA") }
        #expect(throws: AuthError.self) { try TokenPublicKey(x: "not base64") }
    }

    @Test func severalKeysVerifyDuringARotation() async throws {
        let next = TokenSigner(Curve25519.Signing.PrivateKey())
        let both = TokenVerifier(keys: [next.publicKey, signer.publicKey])
        #expect(await refusal(try await signer.sign(token()), by: both) == nil)
        #expect(await refusal(try await next.sign(token()), by: both) == nil)
    }
}
