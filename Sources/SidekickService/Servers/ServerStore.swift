import ComputeCore
import FoundationEssentials
import LinuxSystem

/// The definitions of servers in the state directory, so that a Sidekick that starts again over it has them.
///
/// The directory is root's alone: environments hold secrets.
struct ServerStore: Sendable {
    struct Stored: Codable, Sendable {
        var definition: ServerDefinition
        var isInstalled: Bool
        var createdAt: WallTime
    }

    /// What a server's definition may at most be, times their number, with room.
    private static let maxBytes = 64 << 20

    private let path: String

    init(stateDirectory: String) { path = stateDirectory + "/servers.json" }

    /// Blocking. What cannot be read is no reason to be of no use: it is logged, and left where it is until the next save.
    func load() -> [Stored] {
        do {
            let (_, bytes) = try FileTree.read(path, limit: Self.maxBytes)
            return try JSONDecoder().decode([Stored].self, from: Data(bytes))
        } catch let error as LinuxSystemError where error.code == .notFound {
            return []
        } catch {
            SidekickLog.write(.error, "the servers of an earlier process could not be read", ["reason": "\(error)"])
            return []
        }
    }

    /// Blocking; returns when it is on the disk.
    func save(_ servers: [Stored]) throws {
        let encoded = try JSONEncoder().encode(servers)
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
