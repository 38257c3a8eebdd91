import ComputeCore
import Crypto
import Foundation
import SidekickProtocol
import Testing

@Suite struct ClaimCredentialTests {
    let key = Curve25519.Signing.PrivateKey()
    let member = MemberName("m1")
    let id = ComputeID("abcdefgh1")!
    let body = Data("{}".utf8)
    let expiry = WallTime(milliseconds: 30_000)

    func signed() throws -> String {
        try ClaimCredential(member: member, computeID: id, generation: .first, expiresAt: expiry, body: body)
            .signed(with: key)
    }

    func verify(
        _ text: String, key: Curve25519.Signing.PublicKey? = nil, member: String = "m1", body: String = "{}",
        now: Int64 = 0
    ) throws(ClaimCredential.Refusal) -> ComputeID {
        try ClaimCredential.verify(
            text, key: key ?? self.key.publicKey, member: MemberName(member), body: Data(body.utf8),
            now: WallTime(milliseconds: now)
        ).computeID
    }

    @Test func theRightMemberAcceptsItOnceSigned() throws {
        #expect(try verify(signed()) == id)
        #expect(try verify(signed(), now: 29_999) == id)
    }

    @Test func eachWayToMisuseItIsRefused() throws {
        let text = try signed()
        let other = Curve25519.Signing.PrivateKey().publicKey
        #expect(throws: ClaimCredential.Refusal.badSignature) { try verify(text, key: other) }
        #expect(throws: ClaimCredential.Refusal.otherMember) { try verify(text, member: "m2") }
        #expect(throws: ClaimCredential.Refusal.expired) { try verify(text, now: 30_000) }
        #expect(throws: ClaimCredential.Refusal.otherBody) { try verify(text, body: "{ }") }
    }

    @Test func anyChangedOrMissingByteBreaksTheSignature() throws {
        let text = Array(try signed().utf8)
        for index in text.indices {
            var changed = text
            changed[index] = changed[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            let cut = String(decoding: text[..<index], as: UTF8.self)
            #expect(throws: ClaimCredential.Refusal.badSignature) { try verify(cut) }
            #expect(throws: ClaimCredential.Refusal.badSignature, "byte \(index)") {
                try verify(String(decoding: changed, as: UTF8.self))
            }
        }
    }

    @Test func aNewGenerationHasANewSecret() {
        let key = SymmetricKey(size: .bits256)
        let first = SidekickSecret.derive(from: key, computeID: id, generation: .first)
        #expect(first == SidekickSecret.derive(from: key, computeID: id, generation: .first))
        #expect(first != SidekickSecret.derive(from: key, computeID: id, generation: .first.next))
        #expect(first != SidekickSecret.derive(from: key, computeID: ComputeID("abcdefgh2")!, generation: .first))
        #expect(first.utf8.count == 43)
    }
}
