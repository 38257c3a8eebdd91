import FoundationEssentials
import Glibc
import LinuxSystem

/// The claim on disk: `claim.json` in the state directory, mode 0600. Blocking.
struct ClaimFile: Sendable {
    let path: String

    init(stateDirectory: String) { path = "\(stateDirectory)/claim.json" }

    /// Beside the real one, to be written and removed.
    init(rehearsalIn stateDirectory: String) { path = "\(stateDirectory)/rehearsal.json" }

    /// - Returns: nil when there is none. A file that cannot be read is an error, never "unclaimed": somebody's
    ///   compute must not be given to somebody else.
    func load() throws -> ClaimRecord? {
        let bytes: [UInt8]
        do throws(LinuxSystemError) {
            (_, bytes) = try FileTree.read(path, limit: RequestBody.maxBytes * 2)
        } catch  where error.code == .notFound {
            return nil
        }
        return try JSONDecoder().decode(ClaimRecord.self, from: Data(bytes))
    }

    /// Returns when the record would survive a loss of power. On failure nothing of it is left.
    func save(_ record: ClaimRecord) throws {
        let encoded = try JSONEncoder().encode(record)
        do {
            try encoded.withUnsafeBytes { (bytes) throws -> Void in
                _ = try FileTree.write(path, bytes, newFileMode: 0o600)
            }
        } catch {
            // The rename may have happened before what failed (the directory's fsync).
            remove()
            throw error
        }
    }

    func remove() { unlink(path) }
}
