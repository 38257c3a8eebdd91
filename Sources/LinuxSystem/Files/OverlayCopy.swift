import CLinux
import Glibc

/// Lays what is in a directory over another one, step by step, with the rights of the calling thread. Unlike `TreeCopy` it merges
/// into what is there, leaves out what it cannot copy and counts that.
///
/// Both trees are entered from descriptors of their tops, component by component and through no link, so nobody who moves
/// things about meanwhile can lead it out of either. Kept are modes (without set-uid and the like), times of files, and links as
/// links. Not entered are other file systems and the target itself, where it lies inside the source.
package struct OverlayCopy: ~Copyable {
    package struct Stats: Hashable, Sendable {
        package var files = 0
        package var directories = 0
        package var linksToFiles = 0
        package var linksToDirectories = 0
        package var bytes: Int64 = 0
        /// The first of those that were not copied: ignored, not the user's to read, in the way of something else.
        package var skipped: [String] = []
        package var skippedCount = 0

        static let maxNamed = 100

        mutating func skip(_ path: String) {
            skippedCount += 1
            if skipped.count < Self.maxNamed { skipped.append(path) }
        }

        package init() {}
    }

    /// Far beyond any template: what is left is kept in memory.
    private static let maxLeft = 100_000

    private let source: FileDescriptor
    private let target: FileDescriptor
    private let sourcePath: String
    private let targetPath: String
    private let sourceDevice: dev_t
    private let targetIdentity: (dev_t, ino_t)
    private let isIgnored: (String) -> Bool
    private let isLarge: (String) -> Bool
    /// Directories that are yet to be copied, below the top; the last one is next.
    private var left: [String] = [""]
    /// Those that may wait.
    private var later: [String] = []
    private var buffer = [UInt8](repeating: 0, count: 1 << 17)
    package private(set) var stats = Stats()

    /// - Parameters:
    ///   - isIgnored: of a path below the source.
    ///   - isLarge: whether a directory of that name is copied after the others.
    package init(
        from sourcePath: String, to targetPath: String, isIgnored: @escaping (String) -> Bool,
        isLarge: @escaping (String) -> Bool
    ) throws(LinuxSystemError) {
        let source = try FileDescriptor.open(sourcePath, O_RDONLY | O_DIRECTORY)
        try FileTree.refuseProcess(source.raw, sourcePath)
        try FileTree.makeDirectories(targetPath)
        let target = try FileDescriptor.open(targetPath, O_RDONLY | O_DIRECTORY)
        try FileTree.refuseProcess(target.raw, targetPath)
        let (from, to) = (try source.status(sourcePath), try target.status(targetPath))
        guard from.st_dev != to.st_dev || from.st_ino != to.st_ino else {
            throw LinuxSystemError(.init(errno: EINVAL), "copy onto itself", targetPath)
        }
        self.sourcePath = sourcePath
        self.targetPath = targetPath
        sourceDevice = from.st_dev
        targetIdentity = (to.st_dev, to.st_ino)
        self.isIgnored = isIgnored
        self.isLarge = isLarge
        self.source = source
        self.target = target
    }

    /// Whether only large directories are left.
    package var isSmallPartDone: Bool { left.isEmpty }

    /// Copies one directory, without those in it.
    /// - Returns: false when nothing was left to be done.
    /// - Parameter isCancelled: asked between files, and between the pieces of a large one.
    package mutating func step(isCancelled: () -> Bool) throws(LinuxSystemError) -> Bool {
        let next = left.isEmpty ? later.popLast() : left.popLast()
        guard let path = next else { return false }
        try copyDirectory(path, isCancelled)
        return true
    }

    /// What was written is on the disk when it returns.
    package func sync() throws(LinuxSystemError) {
        guard clinux_sync_file_system(target.raw) == 0 else { throw .last("sync", targetPath) }
    }

    private mutating func copyDirectory(_ path: String, _ isCancelled: () -> Bool) throws(LinuxSystemError) {
        guard let from = try Self.enter(source.raw, path, sourcePath) else { return stats.skip(path) }
        guard let to = try Self.enter(target.raw, path, targetPath) else { return stats.skip(path) }
        var stream: DirectoryStream
        do throws(LinuxSystemError) {
            stream = try DirectoryStream(from.raw, subject: sourcePath)
        } catch  where error.code == .accessDenied {
            return stats.skip(path)
        }
        while !isCancelled(), let entry = try stream.next() {
            let below = path.isEmpty ? entry.text : "\(path)/\(entry.text)"
            guard !isIgnored(below) else {
                stats.skip(below)
                continue
            }
            var info = stat()
            guard fstatat(from.raw, entry.name, &info, AT_SYMLINK_NOFOLLOW) == 0 else { continue }  // gone
            do throws(LinuxSystemError) {
                try copy(entry.name, info, below, from.raw, to.raw, isCancelled)
            } catch  where ![ENOSPC, EDQUOT, EROFS, EIO].contains(error.code.errno) {
                stats.skip(below)
            }
        }
    }

    private mutating func copy(
        _ name: [CChar], _ info: stat, _ path: String, _ from: Int32, _ to: Int32, _ isCancelled: () -> Bool
    ) throws(LinuxSystemError) {
        switch info.kind {
        case S_IFDIR:
            guard info.st_dev == sourceDevice, (info.st_dev, info.st_ino) != targetIdentity else {
                return stats.skip(path)
            }
            // Its owner may write, or nothing could be put into it.
            let mode = (info.st_mode & 0o777) | 0o700
            if mkdirat(to, name, mode) == 0 {
                _ = fchmodat(to, name, mode, 0)  // whatever the umask says
            } else if errno != EEXIST {
                throw .last("mkdir", path)
            }
            stats.directories += 1
            // Names that are not text cannot be found again.
            guard left.count + later.count < Self.maxLeft,
                String(validating: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self) != nil
            else {
                return stats.skip(path)
            }
            if isLarge(path) { later.append(path) } else { left.append(path) }
        case S_IFLNK: try copyLink(name, path, from, to)
        case S_IFREG: try copyFile(name, info, path, from, to, isCancelled)
        default: stats.skip(path)
        }
    }

    private mutating func copyLink(_ name: [CChar], _ path: String, _ from: Int32, _ to: Int32)
        throws(LinuxSystemError)
    {
        var text = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlinkat(from, name, &text, text.count - 1)
        guard count >= 0 else { throw .last("readlink", path) }
        text[count] = 0
        if symlinkat(text, to, name) != 0 {
            guard errno == EEXIST, unlinkat(to, name, 0) == 0, symlinkat(text, to, name) == 0 else {
                throw .last("link", path)
            }
        }
        var info = stat()
        let isDirectory = fstatat(from, name, &info, 0) == 0 && info.isDirectory
        if isDirectory { stats.linksToDirectories += 1 } else { stats.linksToFiles += 1 }
    }

    private mutating func copyFile(
        _ name: [CChar], _ info: stat, _ path: String, _ from: Int32, _ to: Int32, _ isCancelled: () -> Bool
    ) throws(LinuxSystemError) {
        // O_NONBLOCK: whoever put a pipe in its place must not hold us.
        let input = FileDescriptor(
            adopting: clinux_openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0))
        guard input.raw >= 0 else { throw .last("open", path) }
        guard try input.status(path).kind == S_IFREG else { throw LinuxSystemError(.notRegularFile, "open", path) }
        let output = FileDescriptor(adopting: try Self.create(name, path, to))
        do throws(LinuxSystemError) {
            while true {
                let count = buffer.withUnsafeMutableBytes { read(input.raw, $0.baseAddress, $0.count) }
                if count < 0, errno == EINTR { continue }
                guard count >= 0 else { throw .last("read", path) }
                guard count > 0, !isCancelled() else { break }
                try write(count, to: output, path)
                stats.bytes += Int64(count)
            }
        } catch {
            unlinkat(to, name, 0)
            throw error
        }
        guard !isCancelled() else {
            unlinkat(to, name, 0)  // half a file is worse than none
            return
        }
        guard fchmod(output.raw, info.st_mode & 0o777) == 0 else { throw .last("chmod", path) }
        // Tools that build compare them.
        _ = futimens(output.raw, [info.st_atim, info.st_mtim])
        stats.files += 1
    }

    private func write(_ count: Int, to output: borrowing FileDescriptor, _ path: String) throws(LinuxSystemError) {
        var written = 0
        while written < count {
            let more = buffer.withUnsafeBytes { Glibc.write(output.raw, $0.baseAddress! + written, count - written) }
            if more < 0, errno == EINTR { continue }
            guard more > 0 else { throw .last("write", path) }
            written += more
        }
    }

    /// A new file in place of any other file or link of that name.
    private static func create(_ name: [CChar], _ path: String, _ to: Int32) throws(LinuxSystemError) -> Int32 {
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
        let raw = clinux_openat(to, name, flags, 0o600)
        if raw >= 0 { return raw }
        guard errno == EEXIST, unlinkat(to, name, 0) == 0 else { throw .last("create", path) }
        let second = clinux_openat(to, name, flags, 0o600)
        guard second >= 0 else { throw .last("create", path) }
        return second
    }

    /// nil: moved away since it was found, or not the user's to enter.
    private static func enter(_ top: Int32, _ path: String, _ subject: String) throws(LinuxSystemError)
        -> FileDescriptor?
    {
        do throws(LinuxSystemError) {
            return try descend(top, path, subject)
        } catch  where [ENOENT, ENOTDIR, ELOOP, EACCES].contains(error.code.errno) {
            return nil
        }
    }

    private static func descend(_ top: Int32, _ path: String, _ subject: String) throws(LinuxSystemError)
        -> FileDescriptor
    {
        var directory = try FileDescriptor.open(".", at: top, O_RDONLY | O_DIRECTORY, subject: subject)
        for component in path.split(separator: "/") {
            directory = try FileDescriptor.open(
                String(component), at: directory.raw, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, subject: subject)
        }
        return directory
    }
}
