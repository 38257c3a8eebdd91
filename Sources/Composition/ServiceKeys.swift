package import Crypto
import Foundation
package import ServiceHost

/// The keys of an installation, made at the first start and kept beside the data with mode 0600.
package struct ServiceKeys: Sendable {
    /// Signs access tokens.
    package let tokenSigning: Curve25519.Signing.PrivateKey
    /// Signs claims; members hold the public half.
    package let claimSigning: Curve25519.Signing.PrivateKey
    /// What the secret of every Sidekick is derived from.
    package let sidekick: SymmetricKey

    package init(in directory: DataDirectory) throws {
        tokenSigning = try Self.signingKey("token-signing.key", in: directory)
        claimSigning = try Self.signingKey("claim-signing.key", in: directory)
        sidekick = SymmetricKey(
            data: try directory.secret(Self.sidekickFile) { SymmetricKey(size: .bits256).withUnsafeBytes { Data($0) } })
    }

    /// The sidekick key as the API left it, for a Gateway in a process of its own.
    package static func sidekickKey(inDirectory path: String) throws -> SymmetricKey {
        SymmetricKey(data: try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(sidekickFile)")))
    }

    private static let sidekickFile = "sidekick.key"

    private static func signingKey(
        _ name: String, in directory: DataDirectory
    ) throws -> Curve25519.Signing.PrivateKey {
        try .init(rawRepresentation: directory.secret(name) { Curve25519.Signing.PrivateKey().rawRepresentation })
    }
}
