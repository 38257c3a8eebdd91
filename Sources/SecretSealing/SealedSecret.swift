/// A secret at rest: its value under a key of its own, and that key under a master key. Safe to store; not to be shown.
package struct SealedSecret: Hashable, Sendable {
    /// Which master key wrapped the data key.
    package var masterKey: MasterKeyID
    /// Nonce, ciphertext and tag of the data key: 60 bytes.
    package var wrappedKey: [UInt8]
    /// Nonce, ciphertext and tag of the value: 28 bytes more than it.
    package var ciphertext: [UInt8]

    package init(masterKey: MasterKeyID, wrappedKey: [UInt8], ciphertext: [UInt8]) {
        self.masterKey = masterKey
        self.wrappedKey = wrappedKey
        self.ciphertext = ciphertext
    }
}

package enum SealingError: Error, Hashable, Sendable {
    /// The master key that wrapped it is not among those given.
    case unknownMasterKey(MasterKeyID)
    /// Changed, cut, of another place, or under another key of the same id.
    case notAuthentic
}
