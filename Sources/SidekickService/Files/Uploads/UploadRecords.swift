import FoundationEssentials
import Glibc
import LinuxSystem

/// The open uploads on disk: `uploads/<id>.json` in the state directory, where user code has no access. Blocking.
struct UploadRecords: Sendable {
    private let directory: String

    init(stateDirectory: String) { directory = "\(stateDirectory)/uploads" }

    private func path(_ id: String) -> String { "\(directory)/\(id).json" }

    /// Returns when it would survive a loss of power.
    func save(_ record: UploadRecord) throws {
        let encoded = try JSONEncoder().encode(record)
        try encoded.withUnsafeBytes { (bytes) throws -> Void in
            _ = try FileTree.write(path(record.id), bytes, newFileMode: 0o600)
        }
    }

    /// One small call, which any thread may make. One that comes back after a crash has lost its partial file.
    func remove(_ id: String) { unlink(path(id)) }

    /// Those that can be read; what else is there is removed.
    func load() throws -> [UploadRecord] {
        guard access(directory, F_OK) == 0 || errno != ENOENT else { return [] }
        let entries = try FileTree.list(directory, limit: UploadTable.maxUploads * 4)
        return entries.compactMap { entry in
            guard let record = try? read(entry.path), path(record.id) == entry.path else {
                unlink(entry.path)
                return nil
            }
            return record
        }
    }

    private func read(_ path: String) throws -> UploadRecord {
        let (_, bytes) = try FileTree.read(path, limit: 1 << 20)
        return try JSONDecoder().decode(UploadRecord.self, from: Data(bytes))
    }
}
