package import ComputeCore

/// The value of one version of a secret, sealed: whoever has the database has nothing. Not an event and not rebuilt from
/// the log, so that it can be forgotten.
package struct SecretValueRow: Hashable, Sendable {
    package struct Key: Hashable, Sendable {
        package var group: GroupID
        package var name: SecretName
        package var version: Int64

        package init(group: GroupID, name: SecretName, version: Int64) {
            self.group = group
            self.name = name
            self.version = version
        }
    }

    package var key: Key
    /// The id of the master key that wrapped the data key.
    package var masterKey: String
    package var wrappedKey: [UInt8]
    package var ciphertext: [UInt8]

    package init(key: Key, masterKey: String, wrappedKey: [UInt8], ciphertext: [UInt8]) {
        self.key = key
        self.masterKey = masterKey
        self.wrappedKey = wrappedKey
        self.ciphertext = ciphertext
    }
}

package enum SecretValueChange: Hashable, Sendable {
    case put(SecretValueRow)
    /// Every version up to this one.
    case forget(GroupID, SecretName, through: Int64)
    /// Another wrapping of a data key; nothing when the row is gone or no longer wrapped by `from`.
    case rewrap(SecretValueRow, from: String)
}
