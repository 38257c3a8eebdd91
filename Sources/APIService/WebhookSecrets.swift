import ComputeCore
import ComputeDomain
import Crypto
import EventSourcing
import FoundationEssentials

/// The secrets of webhooks: what signs, and the URL, whose path is often a password.
///
/// What signs is derived from the installation's key and stored nowhere. The URL is sealed: whoever reads the database
/// alone learns neither.
struct WebhookSecrets: Sendable {
    private let signing: SymmetricKey
    private let sealing: SymmetricKey

    init(_ key: SymmetricKey) {
        func derived(_ use: String) -> SymmetricKey {
            HKDF<SHA256>.deriveKey(
                inputKeyMaterial: key, info: Data("computesdk webhook \(use)".utf8), outputByteCount: 32)
        }
        signing = derived("signing")
        sealing = derived("sealing")
    }

    // MARK: - Signing

    private func secret(of id: WebhookID, version: Int) -> Data {
        Data(HMAC<SHA256>.authenticationCode(for: Data("\(id).\(version)".utf8), using: signing))
    }

    /// As receivers' libraries take it.
    func text(of id: WebhookID, version: Int) -> String {
        "whsec_" + secret(of: id, version: version).base64EncodedString()
    }

    /// By the Standard Webhooks specification. While the secret is being changed both sign.
    func signature(
        of body: [UInt8], id: String, at time: WallTime, for webhook: WebhookSummary
    ) -> String {
        let content = Data("\(id).\(time.milliseconds / 1000).".utf8) + Data(body)
        var versions = [webhook.secretVersion]
        if let until = webhook.previousSecretUntil, time < until, webhook.secretVersion > 1 {
            versions.append(webhook.secretVersion - 1)
        }
        return versions.map { version in
            let key = SymmetricKey(data: secret(of: webhook.id, version: version))
            return "v1," + Data(HMAC<SHA256>.authenticationCode(for: content, using: key)).base64EncodedString()
        }.joined(separator: " ")
    }

    // MARK: - The URL

    /// The row that holds it. The id is sealed in, so that no row serves another webhook.
    func row(_ url: WebhookURL, of id: WebhookID, in group: GroupID) throws(Problem) -> PrivateRow {
        guard
            let box = try? AES.GCM.seal(
                Data(url.text.utf8), using: sealing, authenticating: Data(id.rawValue.utf8)),
            let sealed = box.combined
        else { throw .internalError }
        return PrivateRow(
            kind: PrivateRow.webhookURLKind, key: id.rawValue, group: group,
            value: .object(["sealed": .string(Array(sealed).base64URL)]))
    }

    /// nil for a row that was not sealed here.
    func url(in row: PrivateRow, of id: WebhookID) -> WebhookURL? {
        guard case .object(let fields) = row.value, case .string(let text)? = fields["sealed"],
            let bytes = [UInt8](base64URL: text), let box = try? AES.GCM.SealedBox(combined: bytes),
            let plain = try? AES.GCM.open(box, using: sealing, authenticating: Data(id.rawValue.utf8))
        else { return nil }
        return try? WebhookURL(String(decoding: plain, as: UTF8.self))
    }
}

extension PrivateRow {
    static let webhookURLKind = "webhook_url"
}
