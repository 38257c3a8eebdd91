import ComputeCore
import FoundationEssentials
import LinuxSystem

/// A JSON document of the state directory, for a Sidekick that starts again over it.
///
/// The directory is root's alone: what is recorded may hold secrets. All of it blocks.
package struct StateFile<Content: Codable>: Sendable {
    package let path: String
    /// What each change records, for those who are told that it failed: "the server".
    private let subject: String
    /// What is more is not saved either: a later start could not read it.
    private let maxBytes: Int

    package init(_ path: String, of subject: String, maxBytes: Int) {
        self.path = path
        self.subject = subject
        self.maxBytes = maxBytes
    }

    /// - Returns: nil when there is none.
    package func read() throws -> Content? {
        let bytes: [UInt8]
        do throws(LinuxSystemError) {
            bytes = try FileTree.read(path, limit: maxBytes).1
        } catch  where error.code == .notFound {
            return nil
        }
        return try JSONDecoder().decode(Content.self, from: Data(bytes))
    }

    /// What cannot be read is no reason to be of no use: it is logged, and left where it is until the next save.
    package func load<Loaded>(_ make: (Content) throws -> Loaded) -> Loaded? {
        do {
            return try read().map(make)
        } catch {
            SidekickLog.write(
                .error, "what an earlier process has recorded could not be read", ["file": path, "reason": "\(error)"])
            return nil
        }
    }

    /// Returns when it would survive a loss of power. On failure the file is as it was.
    /// - Throws: `Problem`: 413, 507 or 500.
    package func save(_ content: Content) throws {
        let encoded = try JSONEncoder().encode(content)
        guard encoded.count <= maxBytes else {
            throw Problem(
                status: 413, code: .tooLarge,
                message: "\(subject) was not recorded: with all others it would take more than \(maxBytes) bytes")
        }
        do {
            try encoded.withUnsafeBytes { (bytes) throws -> Void in
                _ = try FileTree.write(path, bytes, newFileMode: 0o600)
            }
        } catch let error as LinuxSystemError {
            SidekickLog.write(.error, "a change could not be recorded", ["file": path, "reason": "\(error)"])
            guard error.code.isDiskFull else {
                throw Problem(status: 500, code: .internalError, message: "\(subject) could not be recorded")
            }
            throw Problem(status: 507, code: .diskFull, message: "the disk is full: \(subject) was not recorded")
        }
    }
}
