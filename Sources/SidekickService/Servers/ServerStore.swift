package import ComputeCore
import FoundationEssentials
import LinuxSystem

/// The definitions of servers in the state directory, so that a Sidekick that starts again over it has them.
///
/// The directory is root's alone: environments hold secrets.
package struct ServerStore: Sendable {
    package struct Stored: Codable, Sendable {
        package var definition: ServerDefinition
        package var isInstalled: Bool
        package var createdAt: WallTime

        package init(definition: ServerDefinition, isInstalled: Bool, createdAt: WallTime) {
            self.definition = definition
            self.isInstalled = isInstalled
            self.createdAt = createdAt
        }
    }

    /// Of all definitions together. What is more is not saved either: a later start could not read it.
    package static let maxBytes = 64 << 20

    private let path: String
    private let maxBytes: Int

    package init(stateDirectory: String, maxBytes: Int = Self.maxBytes) {
        path = stateDirectory + "/servers.json"
        self.maxBytes = maxBytes
    }

    /// Blocking. What cannot be read is no reason to be of no use: it is logged, and left where it is until the next save.
    package func load() -> [Stored] {
        do {
            let (_, bytes) = try FileTree.read(path, limit: maxBytes)
            return try JSONDecoder().decode([Stored].self, from: Data(bytes))
        } catch let error as LinuxSystemError where error.code == .notFound {
            return []
        } catch {
            SidekickLog.write(.error, "the servers of an earlier process could not be read", ["reason": "\(error)"])
            return []
        }
    }

    /// Blocking; returns when it is on the disk.
    package func save(_ servers: [Stored]) throws {
        let encoded = try JSONEncoder().encode(servers)
        guard encoded.count <= maxBytes else {
            throw Problem(
                status: 413, code: .tooLarge,
                message: "the definitions of all servers together are longer than \(maxBytes) bytes")
        }
        do {
            try encoded.withUnsafeBytes { (bytes) throws -> Void in
                _ = try FileTree.write(path, bytes, newFileMode: 0o600)
            }
        } catch let error as LinuxSystemError {
            SidekickLog.write(.error, "the servers could not be recorded", ["reason": "\(error)"])
            guard error.code.isDiskFull else {
                throw Problem(status: 500, code: .internalError, message: "the server could not be recorded")
            }
            throw Problem(status: 507, code: .diskFull, message: "the disk is full: the server was not recorded")
        }
    }
}
