import ComputeCore
import Crypto
import Foundation
package import SecretSealing
package import ServiceHost

extension Settings {
    package static let secretsKeyFile = Setting(
        "secrets-key-file", fallback: "<data-dir>/secrets.keys, made at the first start",
        "The master keys that secrets are sealed under: id:key lines, the current one first.")
    package static let secretsKeys = Setting(
        "secrets-keys", isSecret: true, "The same instead of the file, with commas or line ends between the keys.")

    static let secrets = [secretsKeyFile, secretsKeys]
}

/// Where the master keys come from.
package enum MasterKeySource: Sendable {
    /// A file of ours in the data folder. Whoever has the whole folder then has both keys and secrets.
    case dataFolder
    case file(String)
    case given(MasterKeys)

    init(_ reader: SettingsReader) throws(SettingError) {
        switch (reader.string(Settings.secretsKeyFile), reader.string(Settings.secretsKeys)) {
        case (nil, nil): self = .dataFolder
        case (let path?, nil):
            guard path.hasPrefix("/") else { throw reader.error(Settings.secretsKeyFile, "must be an absolute path") }
            self = .file(path)
        case (nil, let text?):
            do throws(MasterKeysError) {
                self = .given(try MasterKeys(parsing: String(text.map { $0 == "," ? "\n" : $0 })))
            } catch {
                throw reader.error(Settings.secretsKeys, error.description)
            }
        case (.some, .some):
            throw reader.error(Settings.secretsKeys, "excludes \(Settings.secretsKeyFile.flag)")
        }
    }

    package func masterKeys(in directory: DataDirectory) throws -> MasterKeys {
        switch self {
        case .given(let keys): return keys
        case .dataFolder:
            let text = try directory.secret("secrets.keys") {
                let key = SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) }
                return Data("first:\(key.base64URL)\n".utf8)
            }
            return try Self.parsed(text, directory.file("secrets.keys"))
        case .file(let path):
            guard let text = FileManager.default.contents(atPath: path) else {
                throw MasterKeyFileError(path: path, reason: "it cannot be read")
            }
            return try Self.parsed(text, path)
        }
    }

    private static func parsed(_ text: Data, _ path: String) throws(MasterKeyFileError) -> MasterKeys {
        do throws(MasterKeysError) {
            return try MasterKeys(parsing: String(decoding: text, as: UTF8.self))
        } catch {
            throw MasterKeyFileError(path: path, reason: error.description)
        }
    }
}

/// No secret can be read or written without the keys, so a start without them ends at once.
package struct MasterKeyFileError: Error, Hashable, Sendable, CustomStringConvertible {
    package let path: String
    package let reason: String
    package var description: String { "the file of master keys, \(path): \(reason)" }
}
