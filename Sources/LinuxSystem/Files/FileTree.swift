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
        /// Permission bits, `0o7777` at most.
        package let mode: UInt32
        package let uid: UInt32
        package let gid: UInt32
        /// Where it leads, if it is a link; everything else is then about what it leads to, or about the link itself when
        /// that was asked for or nothing is there.
        package let linkTarget: String?
    }

    /// - Throws: `.tooLarge` when there are more than `limit` entries.
    package static func list(_ path: String, limit: Int) throws(LinuxSystemError) -> [Entry] {
        let directory = try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY)
        try refuseProcess(directory.raw, path)
        var stream = try DirectoryStream(directory.raw, subject: path)
        var entries: [Entry] = []
        while let found = try stream.next() {
            guard entries.count < limit else { throw LinuxSystemError(.tooLarge, "list", path) }
            // Nothing when it has gone between listing and looking.
            guard let seen = look(found.name, in: directory.raw, follow: true, orLink: true) else { continue }
            entries.append(entry(path == "/" ? "/\(found.text)" : "\(path)/\(found.text)", seen.info, seen.target))
        }
        return entries.sorted { $0.name < $1.name }
    }

    /// - Parameter follow: false tells about a link itself.
    package static func status(_ path: String, follow: Bool = true) throws(LinuxSystemError) -> Entry {
        guard let seen = look(path.utf8CString.map { $0 }, in: AT_FDCWD, follow: follow, orLink: false) else {
            throw .last("stat", path)
        }
        return entry(path, seen.info, seen.target)
    }

    /// - Throws: `.accessDenied` when nothing could start in that directory.
    package static func checkEntry(to path: String) throws(LinuxSystemError) {
        // `O_PATH`, which Swift's Glibc module does not have: to find its dot is to enter it, and to read it another right.
        let place: Int32 = 0o10000000
        _ = try FileDescriptor.open("\(path)/.", place | O_DIRECTORY, subject: path)
    }

    /// - Parameter orLink: a link that leads nowhere shows itself.
    /// - Returns: nil with errno.
    private static func look(
        _ name: [CChar], in directory: Int32, follow: Bool, orLink: Bool
    ) -> (info: stat, target: String?)? {
        var info = stat()
        guard fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW) == 0 else { return nil }
        guard info.kind == S_IFLNK else { return (info, nil) }
        let target = (try? readLink(name, in: directory, "")).map { String(decoding: $0, as: UTF8.self) } ?? ""
        guard follow else { return (info, target) }
        var behind = stat()
        if fstatat(directory, name, &behind, 0) == 0 { return (behind, target) }
        return orLink ? (info, target) : nil
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

    package static func refuseProcess(_ descriptor: Int32, _ path: String) throws(LinuxSystemError) {
        guard clinux_file_system_type(descriptor) != procMagic, !isOnProcessDevice(descriptor) else {
            throw LinuxSystemError(.accessDenied, "open a path below /proc", path)
        }
    }

    /// Of files in there gVisor names another type than of directories; the device is the same.
    private static func isOnProcessDevice(_ descriptor: Int32) -> Bool {
        var info = stat()
        return fstat(descriptor, &info) == 0 && info.st_dev == processDevice
    }

    /// nil where /proc is none.
    private static let processDevice: dev_t? = {
        guard let root = try? FileDescriptor.open("/proc", O_RDONLY | O_DIRECTORY),
            clinux_file_system_type(root.raw) == procMagic
        else { return nil }
        return try? root.status("/proc").st_dev
    }()

    /// PROC_SUPER_MAGIC
    private static let procMagic = 0x9fa0

    static func entry(_ path: String, _ info: stat, _ linkTarget: String? = nil) -> Entry {
        Entry(
            name: path.utf8.split(separator: UInt8(ascii: "/")).last.map { String(Substring($0)) } ?? "/", path: path,
            size: Int64(info.st_size),
            isDirectory: info.isDirectory,
            modifiedAt: info.modifiedSeconds * 1000 + Int64(info.st_mtim.tv_nsec) / 1_000_000,
            mode: info.st_mode & 0o7777, uid: info.st_uid, gid: info.st_gid, linkTarget: linkTarget)
    }
}
