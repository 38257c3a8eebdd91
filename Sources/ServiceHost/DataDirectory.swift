package import Foundation

/// The folder that one running service owns: its database, keys and sockets. Mode 0700, locked while in use.
package final class DataDirectory: Sendable {
    package let path: String
    private let lock: Int32

    /// Makes the folder when missing and takes its lock.
    /// - Throws: `DataDirectoryError` when it cannot be made, or when another process uses it.
    package init(path: String) throws(DataDirectoryError) {
        self.path = path
        guard path.hasPrefix("/") else { throw DataDirectoryError("\(path): must be an absolute path") }
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw DataDirectoryError("\(path): cannot be made: \(error.localizedDescription)")
        }
        lock = open("\(path)/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw DataDirectoryError("\(path)/lock: \(String(cString: strerror(errno)))") }
        // Held until the process ends, however it ends: the kernel lets go of it.
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            close(lock)
            throw DataDirectoryError("\(path): another process is using it")
        }
    }

    deinit { close(lock) }

    package func file(_ name: String) -> String { "\(path)/\(name)" }

    /// The secret bytes in file `name`; made with `fresh` at the first call, readable by the owner only.
    ///
    /// Written whole and flushed before it takes its name, so that a crash leaves no half a key.
    package func secret(_ name: String, fresh: () -> Data) throws(DataDirectoryError) -> Data {
        let path = file(name)
        if let existing = FileManager.default.contents(atPath: path), !existing.isEmpty { return existing }
        let secret = fresh()
        try write(secret, to: name)
        return secret
    }

    /// Writes a file of mode 0600: temporary file, fsync, rename, fsync of the folder.
    package func write(_ data: Data, to name: String) throws(DataDirectoryError) {
        let target = file(name)
        let temporary = target + ".new"
        unlink(temporary)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw .init("\(temporary): \(String(cString: strerror(errno)))") }
        let written = data.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        let flushed = fsync(descriptor)
        close(descriptor)
        guard written == data.count, flushed == 0, rename(temporary, target) == 0 else {
            throw .init("\(target): cannot be written: \(String(cString: strerror(errno)))")
        }
        let folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        fsync(folder)
        close(folder)
    }
}

package struct DataDirectoryError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String
    init(_ description: String) { self.description = description }
}
