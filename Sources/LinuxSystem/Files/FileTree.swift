import CLinux
import Glibc

/// File operations as a client asks for them. Every function blocks, so call them on a thread of your own; they act
/// with the rights of the calling thread (see `ThreadIdentity`), and links are followed as the kernel follows them
/// for that identity.
///
/// Paths are absolute. Content below /proc is refused: `/proc/self` there is the Sidekick, not the user.
package enum FileTree {
    package struct Entry: Hashable, Sendable {
        package let name: String
        package let path: String
        package let size: Int64
        package let isDirectory: Bool
        /// Milliseconds since 1970.
        package let modifiedAt: Int64
    }

    /// - Throws: `.tooLarge` when there are more than `limit` entries.
    package static func list(_ path: String, limit: Int) throws(LinuxSystemError) -> [Entry] {
        let directory = try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY)
        try refuseProcess(directory.raw, path)
        var stream = try DirectoryStream(directory.raw, subject: path)
        var entries: [Entry] = []
        while let found = try stream.next() {
            guard entries.count < limit else { throw LinuxSystemError(.tooLarge, "list", path) }
            var info = stat()
            // A link shows what it leads to; a dangling one shows itself.
            guard
                fstatat(directory.raw, found.name, &info, 0) == 0
                    || fstatat(directory.raw, found.name, &info, AT_SYMLINK_NOFOLLOW) == 0
            else { continue }  // gone between listing and looking
            entries.append(entry(path == "/" ? "/\(found.text)" : "\(path)/\(found.text)", info))
        }
        return entries.sorted { $0.name < $1.name }
    }

    package static func status(_ path: String) throws(LinuxSystemError) -> Entry {
        var info = stat()
        guard stat(path, &info) == 0 else { throw .last("stat", path) }
        return entry(path, info)
    }

    package static func read(_ path: String, limit: Int) throws(LinuxSystemError) -> (Entry, [UInt8]) {
        // Without O_NONBLOCK, a pipe without a writer would hold the thread for ever.
        let file = try FileDescriptor.open(path, O_RDONLY | O_NONBLOCK)
        let info = try file.status(path)
        guard !info.isDirectory else { throw LinuxSystemError(.isDirectory, "read", path) }
        guard info.kind == S_IFREG else { throw LinuxSystemError(.notRegularFile, "read", path) }
        try refuseProcess(file.raw, path)
        guard info.st_size <= limit else { throw LinuxSystemError(.tooLarge, "read", path) }
        return (entry(path, info), try file.readAll(upTo: limit, path))
    }

    static func refuseProcess(_ descriptor: Int32, _ path: String) throws(LinuxSystemError) {
        guard clinux_file_system_type(descriptor) != procMagic else {
            throw LinuxSystemError(.accessDenied, "open a path below /proc", path)
        }
    }

    /// PROC_SUPER_MAGIC
    private static let procMagic = 0x9fa0

    static func entry(_ path: String, _ info: stat) -> Entry {
        Entry(
            name: path.split(separator: "/").last.map(String.init) ?? "/", path: path, size: Int64(info.st_size),
            isDirectory: info.isDirectory,
            modifiedAt: Int64(info.st_mtim.tv_sec) * 1000 + Int64(info.st_mtim.tv_nsec) / 1_000_000)
    }
}
