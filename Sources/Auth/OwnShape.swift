import ComputeCore
import FoundationEssentials

// What a credential of ours looks like, whether or not it is any good. Where code that is not ours would see it, that
// is enough to keep it back: an expired token, or one whose key was retired, still says too much.

extension AccessToken {
    private struct Issuer: Decodable { var iss: String }

    /// Whether the text is a JWT that names us as its issuer. Nothing is verified.
    package static func hasOwnShape(_ text: some StringProtocol) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let payload = [UInt8](base64URL: parts[1]),
            let claims = try? JSONDecoder().decode(Issuer.self, from: Data(payload))
        else { return false }
        return claims.iss == issuer
    }
}

extension APIKey {
    /// Whether the text is spelled as the keys that we make. A preset key looks like nothing in particular.
    package static func hasOwnShape(_ text: some StringProtocol) -> Bool {
        text.hasPrefix(ownPrefix) && text.utf8.count == ownPrefix.utf8.count + hexLength
            && text.utf8.dropFirst(ownPrefix.utf8.count).allSatisfy(\.isLowercaseHexDigit)
    }
}
