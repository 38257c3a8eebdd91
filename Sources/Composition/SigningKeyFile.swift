import APIService
package import Auth
package import ComputeCore
package import Crypto
import Foundation
package import ServiceHost

/// The keys that sign tokens, in a file of mode 0600 in the data folder. The one key that installations had before it is
/// the first in it.
package struct SigningKeyFile: SigningKeyStore {
    private let directory: DataDirectory
    private static let name = "token-signing-keys.json"

    private struct Entry: Codable {
        /// The private key's 32 bytes, base64url.
        var key: String
        var from: WallTime
    }

    package init(in directory: DataDirectory) { self.directory = directory }

    package func load() throws -> SigningKeys? {
        let path = directory.file(Self.name)
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        let entries = try JSONDecoder().decode([Entry].self, from: Data(contentsOf: URL(fileURLWithPath: path)))
        let keys = try entries.map { entry in
            guard let bytes = [UInt8](base64URL: entry.key) else {
                throw AuthError(.badKey, "\(Self.name) holds what is no key")
            }
            return SigningKey(try .init(rawRepresentation: bytes), from: entry.from)
        }
        guard let held = SigningKeys(keys) else { throw AuthError(.badKey, "\(Self.name) holds no key") }
        return held
    }

    package func save(_ keys: SigningKeys) throws {
        let entries = keys.all.map {
            Entry(key: Array($0.privateKey.rawRepresentation).base64URL, from: $0.from)
        }
        try directory.write(try JSONEncoder().encode(entries), to: Self.name)
    }

    /// Those in the file, which is made when it is not there.
    package func loaded(orFirst key: Curve25519.Signing.PrivateKey, now: WallTime) throws -> SigningKeys {
        if let held = try load() { return held }
        let keys = SigningKeys(only: SigningKey(key, from: now))
        try save(keys)
        return keys
    }
}
