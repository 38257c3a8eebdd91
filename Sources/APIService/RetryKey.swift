package import ComputeCore
package import Crypto
import EventSourcing
import FoundationEssentials

/// An `Idempotency-Key` and what was asked for under it.
///
/// A key is held for 24 hours at least and as long as its compute lives. Within that time a repeat gets the same
/// compute, or a 409 when that has ended meanwhile: a late repeat must not create a second one in silence. A key
/// whose compute never ran is free again at once.
package struct RetryKey: Hashable, Sendable {
    package static let header = "Idempotency-Key"
    package static let holdTime: Duration = .seconds(24 * 3600)

    package var key: String
    /// The same for the same request, whatever its spaces and the order of its fields.
    package var fingerprint: String

    package init(key: String, fingerprint: String) {
        self.key = key
        self.fingerprint = fingerprint
    }

    /// - Parameter secret: the fingerprint is stored, and a body may hold secrets that are short enough to guess,
    ///   so it is keyed.
    package init(header: String, document: JSONValue, secret: SymmetricKey) throws(Problem) {
        guard (1...255).contains(header.utf8.count), header.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else {
            throw .invalid(Self.header, "\(Self.header) must be 1 to 255 printable ASCII characters")
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let text: Data
        do {
            text = try encoder.encode(document)
        } catch {
            throw Problem(status: 400, code: .invalidRequest, message: "the request body cannot be read back")
        }
        let key = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: secret, info: Data("computesdk request fingerprint".utf8), outputByteCount: 32)
        self.init(
            key: header, fingerprint: Data(HMAC<SHA256>.authenticationCode(for: text, using: key)).base64EncodedString()
        )
    }
}
