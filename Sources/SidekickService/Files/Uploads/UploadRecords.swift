import Glibc
import LinuxSystem

/// The open uploads on disk: `uploads/<id>.json` in the state directory, where user code has no access. Blocking.
struct UploadRecords: Sendable {
    private let directory: String

    init(stateDirectory: String) { directory = "\(stateDirectory)/uploads" }

    private func file(_ id: String) -> StateFile<UploadRecord> { file(at: "\(directory)/\(id).json") }

    private func file(at path: String) -> StateFile<UploadRecord> {
        StateFile(path, of: "the upload", maxBytes: 1 << 20)
    }

    func save(_ record: UploadRecord) throws { try file(record.id).save(record) }

    /// One small call, which any thread may make. One that comes back after a crash has lost its partial file.
    func remove(_ id: String) { unlink(file(id).path) }

    /// Those that can be read; what else is there is removed.
    func load() throws -> [UploadRecord] {
        guard access(directory, F_OK) == 0 || errno != ENOENT else { return [] }
        let entries = try FileTree.list(directory, limit: UploadTable.maxUploads * 4)
        return entries.compactMap { entry in
            guard let record = try? file(at: entry.path).read(), file(record.id).path == entry.path else {
                unlink(entry.path)
                return nil
            }
            return record
        }
    }
}
