import Crypto
import FoundationEssentials

// Envelope encryption: a fresh data key for every version of a secret, so rotating a master key touches 60 bytes a
// row and no value, and a master key's random nonces are spent on data keys alone.
extension MasterKeys {
    package func seal(_ value: [UInt8], at place: SecretPlace) throws(SealingError) -> SealedSecret {
        let dataKey = SymmetricKey(size: .bits256)
        let ciphertext = try Self.seal(value, under: dataKey, place.bytes(for: Self.valuePurpose))
        return SealedSecret(masterKey: current, wrappedKey: try wrap(dataKey, at: place), ciphertext: ciphertext)
    }

    package func open(_ sealed: SealedSecret, at place: SecretPlace) throws(SealingError) -> [UInt8] {
        let dataKey = try unwrap(sealed, at: place)
        return try Self.open(sealed.ciphertext, under: dataKey, place.bytes(for: Self.valuePurpose))
    }

    /// The same secret under the current master key; the value is not opened for it.
    /// - Returns: nil when it is under that key already.
    package func rewrap(_ sealed: SealedSecret, at place: SecretPlace) throws(SealingError) -> SealedSecret? {
        guard sealed.masterKey != current else { return nil }
        let wrapped = try wrap(try unwrap(sealed, at: place), at: place)
        return SealedSecret(masterKey: current, wrappedKey: wrapped, ciphertext: sealed.ciphertext)
    }

    private static let valuePurpose = "computesdk secret value v1"
    private static let keyPurpose = "computesdk secret data key v1"

    private func wrap(_ dataKey: SymmetricKey, at place: SecretPlace) throws(SealingError) -> [UInt8] {
        let bound = place.bytes(for: Self.keyPurpose, current.rawValue)
        return try Self.seal(dataKey.withUnsafeBytes { Array($0) }, under: try key(current), bound)
    }

    private func unwrap(_ sealed: SealedSecret, at place: SecretPlace) throws(SealingError) -> SymmetricKey {
        let bound = place.bytes(for: Self.keyPurpose, sealed.masterKey.rawValue)
        return SymmetricKey(data: try Self.open(sealed.wrappedKey, under: try key(sealed.masterKey), bound))
    }

    private static func seal(
        _ plain: [UInt8], under key: SymmetricKey, _ bound: [UInt8]
    ) throws(SealingError) -> [UInt8] {
        // With a nonce of the standard size there is always a combined form.
        guard let box = try? AES.GCM.seal(plain, using: key, authenticating: bound), let combined = box.combined else {
            throw .notAuthentic
        }
        return Array(combined)
    }

    private static func open(
        _ combined: [UInt8], under key: SymmetricKey, _ bound: [UInt8]
    ) throws(SealingError) -> [UInt8] {
        guard let box = try? AES.GCM.SealedBox(combined: combined),
            let plain = try? AES.GCM.open(box, using: key, authenticating: bound)
        else { throw .notAuthentic }
        return Array(plain)
    }
}
