package import ComputeCore
package import Crypto
import FoundationEssentials

/// What API and Gateway show to a claimed Sidekick, as `Authorization: Bearer`. Both derive it from the one
/// sidekick key, so it is neither stored nor sent between them; a new generation has a new one.
package enum SidekickSecret {
    /// HKDF-SHA256 over the sidekick key, bound to compute and generation; base64url, 43 characters.
    package static func derive(from key: SymmetricKey, computeID: ComputeID, generation: Generation) -> String {
        let info = Data("computesdk sidekick secret\n\(computeID)\n\(generation)".utf8)
        let derived = HKDF<SHA256>.deriveKey(inputKeyMaterial: key, info: info, outputByteCount: 32)
        return derived.withUnsafeBytes { $0.base64URL }
    }
}
