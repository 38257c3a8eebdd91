/// What a secret is called within its group.
package struct SecretName: Hashable, Sendable, Comparable, CustomStringConvertible {
    package static let maxBytes = 128
    package let rawValue: String

    /// - Returns: nil unless it is 1 to 128 of `A-Z a-z 0-9 . _ -` and starts with a letter or digit.
    package init?(_ text: some StringProtocol) {
        let bytes = text.utf8
        guard (1...Self.maxBytes).contains(bytes.count), let first = bytes.first, first.isLetterOrDigit,
            bytes.allSatisfy({ $0.isLetterOrDigit || "._-".utf8.contains($0) })
        else { return nil }
        rawValue = String(text)
    }

    package var description: String { rawValue }
    package static func < (a: SecretName, b: SecretName) -> Bool { a.rawValue < b.rawValue }
}

extension UInt8 {
    fileprivate var isLetterOrDigit: Bool {
        isDigit || isLowercaseLetter || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self)
    }
}
