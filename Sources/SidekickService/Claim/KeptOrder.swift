import ComputeCore
import FoundationEssentials
import Glibc
import LinuxSystem
import SidekickProtocol

/// What a compute's first claim gave that no record of the API's has, for its next Sidekick on the same disk: the values
/// of its variables, but for secrets, and what was to be set up. `kept.json`, root's alone. All of it blocks.
struct KeptOrder: Codable, Sendable {
    var computeId: ComputeID
    var env: [String: String]
    var setup: JSONValue?

    init(_ order: ClaimOrder) {
        computeId = order.computeId
        env = order.env.filter { order.secretEnv?.contains($0.key) != true }
        setup = order.setup
    }

    /// Most computes are given nothing, and then there is nothing to write, which a claim would have to wait for.
    var isEmpty: Bool { env.isEmpty && setup == nil }

    private static func path(in directory: String) -> String { "\(directory)/kept.json" }

    /// - Returns: nil when there is none, or what is there is nobody's or cannot be read: whoever is root inside may have
    ///   removed it, and shall get his files all the same.
    static func load(from directory: String, of compute: ComputeID) -> KeptOrder? {
        let path = path(in: directory)
        do {
            let bytes = try FileTree.read(path, limit: RequestBody.maxBytes).1
            let kept = try JSONDecoder().decode(KeptOrder.self, from: Data(bytes))
            return kept.computeId == compute ? kept : nil
        } catch let error as LinuxSystemError where error.code == .notFound {
            return nil
        } catch {
            SidekickLog.write(.error, "what was kept cannot be read", ["file": path, "reason": "\(error)"])
            return nil
        }
    }

    /// Whole or not at all, and not waited for until it is on the disk: what ends the Sidekick in order writes all out,
    /// and after a loss of power there is no compute to go on with.
    func save(in directory: String) throws {
        let path = Self.path(in: directory)
        let encoded = try JSONEncoder().encode(self)
        do {
            let file = try FileDescriptor.open("\(path).new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o600)
            try encoded.withUnsafeBytes { (bytes) throws -> Void in try file.write(bytes, path) }
            guard rename("\(path).new", path) == 0 else { throw LinuxSystemError.last("rename", path) }
        } catch {
            unlink("\(path).new")
            throw error
        }
    }

    /// Of a claim that came to nothing: the member is free for another one, with all of its disk.
    static func remove(from directory: String) { unlink(path(in: directory)) }
}
