import FoundationEssentials
import Glibc

extension ContainerBundle {
    /// Writes `config.json` into an existing folder, and keeps `/tmp` on the container's disk.
    package func write(to folder: String) throws(RunscError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            try encoder.encode(configuration()).write(to: URL(filePath: "\(folder)/config.json"), options: .atomic)
        } catch {
            throw RunscError(.failed, "the bundle \(folder) cannot be written: \(error)", cause: error)
        }
        if !isReadOnly { keepTemporaryFilesOnDisk() }
    }

    /// gVisor hides an empty `/tmp` under a file system in memory, which no disk limit counts. One entry prevents that.
    ///
    /// The root file system may be one in which a container has already run: nothing in it is followed out of it.
    private func keepTemporaryFilesOnDisk() {
        let root = open(rootfs, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard root >= 0 else { return }
        defer { close(root) }
        mkdirat(root, "tmp", 0o1777)
        let temporary = openat(root, "tmp", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard temporary >= 0 else { return }
        defer { close(temporary) }
        mkdirat(temporary, ".on-disk", 0o700)
    }
}
