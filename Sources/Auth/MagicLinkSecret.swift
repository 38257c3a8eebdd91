import ComputeCore
import Crypto

/// What opens a magic link: 256 random bits. Only its hash is kept.
package struct MagicLinkSecret: Sendable {
    /// Part of the link; shown once.
    package let text: String
    /// SHA-256 in hex: what the link's row is found by. Looked up and never compared as text.
    package let hash: String

    package static func random() -> MagicLinkSecret {
        var generator = SystemRandomNumberGenerator()
        let bytes = (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        return MagicLinkSecret(checked: bytes.base64URL)
    }

    /// - Returns: nil for what cannot be one.
    package init?(_ text: String) {
        guard text.utf8.count == 43, [UInt8](base64URL: text[...])?.count == 32 else { return nil }
        self.init(checked: text)
    }

    private init(checked text: String) {
        self.text = text
        hash = SHA256.hash(data: Array("computesdk magic link v1\0\(text)".utf8)).hex
    }
}

extension MagicLinkSecret: CustomStringConvertible, CustomReflectable {
    package var description: String { "…" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
