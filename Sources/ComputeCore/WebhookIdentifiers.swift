/// The id of a webhook.
package struct WebhookID: Hashable, Sendable, CustomStringConvertible {
    package let rawValue: String

    /// - Returns: nil when `rawValue` does not have the shape of one.
    package init?(_ rawValue: some StringProtocol) {
        guard rawValue.isRandomLabel else { return nil }
        self.rawValue = String(rawValue)
    }

    private init(unchecked rawValue: String) { self.rawValue = rawValue }

    package static func random() -> WebhookID { WebhookID(unchecked: .randomLabel(length: 20)) }
    package var description: String { rawValue }
}

extension WebhookID: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let id = WebhookID(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a webhook id")
        }
        self = id
    }
    package func encode(to encoder: any Encoder) throws { try rawValue.encode(to: encoder) }
}
