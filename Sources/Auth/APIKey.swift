import ComputeCore
import Crypto

/// An API key as a client presents it. Only its hash is kept.
///
/// A key of ours is 160 random bits, so nobody can try them all and one fast SHA-256 protects it as well as a slow
/// password hash would, without making every request pay for one. A preset key is the operator's choice: its minimum
/// length is all that we can ask for. Keys are looked up by hash and never compared as text, so there is no comparison
/// whose timing could tell anything about a key.
package struct APIKey: Sendable {
    /// The key itself. Shown once, to the one who made it; never logged.
    package let text: String
    /// SHA-256 in hex: what the private row is found by.
    package let hash: String
    /// What people recognise the key by in lists and logs.
    package let prefix: String

    /// Shorter presets can be guessed.
    package static let minimumLength = 16
    /// Longer ones are no keys, and are not worth hashing.
    package static let maximumLength = 256

    static let ownPrefix = "csdk_"
    /// Clients of the E2B kind insist on this spelling; it is the same key over the same hex digits.
    private static let prefixes = [ownPrefix, "e2b_"]
    static let hexLength = 40
    /// Hashes of keys shall equal no other hash of the same text.
    private static let domain = "computesdk api key v1"

    /// A new key: `csdk_` and 40 hex digits from the system's random source.
    package static func random() -> APIKey {
        var generator = SystemRandomNumberGenerator()
        let bytes = (0..<hexLength / 2).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        return APIKey(text: ownPrefix + bytes.hex, digits: bytes.hex)
    }

    /// - Returns: nil for what cannot be a key: too short, too long, or with other than visible ASCII characters.
    package init?(_ text: String) {
        guard (Self.minimumLength...Self.maximumLength).contains(text.utf8.count),
            text.utf8.allSatisfy({ (0x21...0x7e).contains($0) })
        else { return nil }
        for prefix in Self.prefixes where text.hasPrefix(prefix) {
            let digits = text.dropFirst(prefix.count)
            if digits.utf8.count == Self.hexLength, digits.utf8.allSatisfy(\.isLowercaseHexDigit) {
                self.init(text: text, digits: String(digits))
                return
            }
        }
        self.init(text: text, hash: Self.hash(kind: "text", text), prefix: String(text.prefix(4)))
    }

    private init(text: String, digits: String) {
        self.init(text: text, hash: Self.hash(kind: "hex", digits), prefix: Self.ownPrefix + digits.prefix(4))
    }

    private init(text: String, hash: String, prefix: String) {
        self.text = text
        self.hash = hash
        self.prefix = prefix
    }

    /// `kind` keeps a preset that looks like the digits of a key from being that key.
    private static func hash(kind: String, _ material: String) -> String {
        SHA256.hash(data: Array("\(domain)\0\(kind)\0\(material)".utf8)).hex
    }
}

extension APIKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    // A key that is interpolated or dumped by mistake shows what a list shows.
    package var description: String { "\(prefix)…" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: ["prefix": prefix]) }
}

extension UInt8 {
    var isLowercaseHexDigit: Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(self)
    }
}
