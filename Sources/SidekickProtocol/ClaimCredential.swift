package import ComputeCore
package import Crypto
package import FoundationEssentials

/// The API's signature under one claim. A member holds only the public key, so nothing inside a sandbox can
/// claim another one.
///
/// On the wire, in the header `X-ComputeSDK-Claim`: `base64url(payload) "." base64url(Ed25519 signature)`, where the
/// payload is five lines: member, compute id, generation, expiry (Unix milliseconds), SHA-256 of the body in hex.
package struct ClaimCredential: Hashable, Sendable {
    package static let header = "X-ComputeSDK-Claim"
    /// Long enough for a slow POST and a clock that is a little off; a stolen one is useless afterwards.
    package static let lifetime: Duration = .seconds(30)

    package var member: MemberName
    package var computeID: ComputeID
    package var generation: Generation
    package var expiresAt: WallTime
    package var bodySHA256: String

    package init(
        member: MemberName, computeID: ComputeID, generation: Generation, expiresAt: WallTime, body: some DataProtocol
    ) {
        self.member = member
        self.computeID = computeID
        self.generation = generation
        self.expiresAt = expiresAt
        self.bodySHA256 = SHA256.hash(data: body).hex
    }

    package func signed(with key: Curve25519.Signing.PrivateKey) throws -> String {
        let payload = Array(lines.joined(separator: "\n").utf8)
        return payload.base64URL + "." + (try key.signature(for: payload)).base64URL
    }

    /// Checks signature, member, expiry and body, in that order.
    /// - Returns: what was claimed.
    package static func verify(
        _ text: String, key: Curve25519.Signing.PublicKey, member: MemberName, body: some DataProtocol, now: WallTime
    ) throws(Refusal) -> (computeID: ComputeID, generation: Generation) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let payload = [UInt8](base64URL: parts[0]),
            let signature = [UInt8](base64URL: parts[1]),
            key.isValidSignature(signature, for: payload)
        else { throw .badSignature }
        let lines = String(decoding: payload, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count == 5, let id = ComputeID(lines[1]), let generation = Int(lines[2]),
            let expiry = Int64(lines[3])
        else { throw .badSignature }
        guard lines[0] == member.rawValue else { throw .otherMember }
        guard now.milliseconds < expiry else { throw .expired }
        guard lines[4] == SHA256.hash(data: body).hex else { throw .otherBody }
        return (id, Generation(generation))
    }

    package enum Refusal: Error, Hashable, Sendable {
        case badSignature, otherMember, expired, otherBody
    }

    private var lines: [String] {
        [
            member.rawValue, computeID.rawValue, String(generation.rawValue), String(expiresAt.milliseconds),
            bodySHA256,
        ]
    }
}
