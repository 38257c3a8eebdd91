/// The id of a session token: its `jti`. Not a secret; the token is.
package struct SessionID: Hashable, Sendable, CustomStringConvertible {
    package let rawValue: String

    /// - Returns: nil when `rawValue` does not have the shape of one.
    package init?(_ rawValue: some StringProtocol) {
        guard rawValue.isRandomLabel else { return nil }
        self.rawValue = String(rawValue)
    }

    private init(unchecked rawValue: String) { self.rawValue = rawValue }

    package static func random() -> SessionID { SessionID(unchecked: .randomLabel(length: 20)) }
    package var description: String { rawValue }
}

/// The id of a magic link. What opens it is a secret of its own.
package struct MagicLinkID: Hashable, Sendable, CustomStringConvertible {
    package let rawValue: String

    /// - Returns: nil when `rawValue` does not have the shape of one.
    package init?(_ rawValue: some StringProtocol) {
        guard rawValue.isRandomLabel else { return nil }
        self.rawValue = String(rawValue)
    }

    private init(unchecked rawValue: String) { self.rawValue = rawValue }

    package static func random() -> MagicLinkID { MagicLinkID(unchecked: .randomLabel(length: 20)) }
    package var description: String { rawValue }
}

extension SessionID: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let id = SessionID(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a session id")
        }
        self = id
    }
    package func encode(to encoder: any Encoder) throws { try rawValue.encode(to: encoder) }
}

extension StringProtocol {
    /// What `String.randomLabel` makes, of any length that ids may have.
    var isRandomLabel: Bool {
        guard (8...32).contains(utf8.count), let first = utf8.first, first.isLowercaseLetter else { return false }
        return utf8.allSatisfy { $0.isLowercaseLetter || $0.isDigit }
    }
}
