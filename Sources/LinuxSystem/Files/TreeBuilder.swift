import CLinux
package import Glibc

/// Puts files, directories and links below one directory, as an archive or another tree says.
///
/// Each place is reached from the top with `openat` + O_NOFOLLOW, component by component, so nothing is ever written
/// through a link, whether it was there before, was made by an earlier entry or is swapped in meanwhile. What is in the
/// way of a file or link is replaced, unless it is a directory. `finish` makes all of it durable.
package struct TreeBuilder: ~Copyable {
    private let subject: String
    private let root: SharedDescriptor
    private let replacing: Bool
    /// The directory of the last entry, since the next one is mostly in it too.
    private var parent: SharedDescriptor
    private var parentPath: [[UInt8]] = []
    private var file: SharedDescriptor?
    private var fileMode: UInt32 = 0
    private var fileModified: timespec?

    /// Makes the directory and its parents if they are missing. The path itself may lead through links.
    package init(_ path: String, replacing: Bool) throws(LinuxSystemError) {
        try FileTree.makeDirectories(path)
        let root = SharedDescriptor(try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY))
        try FileTree.refuseProcess(root.raw, path)
        self.root = root
        parent = root
        subject = path
        self.replacing = replacing
    }

    /// - Parameter mode: the owner's own rights are always added, or he could not fill it.
    package mutating func makeDirectory(_ path: TreePath, mode: UInt32) throws(LinuxSystemError) {
        guard let name = try name(path) else { return }
        let directory = directory
        if mkdirat(directory, name, 0o700) != 0 {
            guard errno == EEXIST else { throw .last("mkdir", path.text) }
            var info = stat()
            guard fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW) == 0 else { throw .last("stat", path.text) }
            guard info.isDirectory else { throw LinuxSystemError(.notDirectory, "mkdir", path.text) }
        }
        let made = try Self.descend(directory, path.components.last ?? [], path.text)
        guard fchmod(made.raw, mode & 0o777 | 0o700) == 0 || errno == EPERM else { throw .last("chmod", path.text) }
    }

    package mutating func beginFile(
        _ path: TreePath, mode: UInt32, modified: timespec?
    ) throws(LinuxSystemError) {
        guard let name = try name(path) else { throw LinuxSystemError(.isDirectory, "write", subject) }
        let directory = directory
        let raw = try make(name, path) {
            clinux_openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        }
        file = SharedDescriptor(FileDescriptor(adopting: raw))
        fileMode = mode & 0o777
        fileModified = modified
    }

    package func write(_ bytes: UnsafeRawBufferPointer) throws(LinuxSystemError) {
        guard let file else { return }
        try file.descriptor.write(bytes, subject)
    }

    package mutating func endFile() throws(LinuxSystemError) {
        guard let raw = file?.raw else { return }
        defer { file = nil }
        guard fchmod(raw, fileMode) == 0 else { throw .last("chmod", subject) }
        if let fileModified {
            let times = [fileModified, fileModified]
            guard futimens(raw, times) == 0 else { throw .last("set the time", subject) }
        }
    }

    package mutating func makeLink(_ path: TreePath, to target: [UInt8]) throws(LinuxSystemError) {
        guard let name = try name(path) else { throw LinuxSystemError(.isDirectory, "link", subject) }
        let directory = directory
        let text = target.map { CChar(bitPattern: $0) } + [0]
        _ = try make(name, path) { symlinkat(text, directory, name) }
    }

    /// Another name for a file that is in the tree.
    package mutating func makeHardLink(_ path: TreePath, to existing: TreePath) throws(LinuxSystemError) {
        guard let existingName = try name(existing) else { throw LinuxSystemError(.isDirectory, "link", existing.text) }
        var info = stat()
        guard fstatat(directory, existingName, &info, AT_SYMLINK_NOFOLLOW) == 0 else {
            throw .last("link", existing.text)
        }
        guard info.kind == S_IFREG else { throw LinuxSystemError(.notRegularFile, "link", existing.text) }
        guard path != existing else { return }
        let from = parent
        guard let name = try name(path) else { throw LinuxSystemError(.isDirectory, "link", subject) }
        let (source, destination) = (from.raw, directory)
        _ = try make(name, path) { linkat(source, existingName, destination, name, 0) }
    }

    /// All of it is on disk.
    package func finish() throws(LinuxSystemError) {
        guard clinux_sync_file_system(root.raw) == 0 else { throw .last("sync", subject) }
    }

    // MARK: - Ways

    private var directory: Int32 { parent.raw }

    /// Goes to the directory of `path`, making what is missing.
    /// - Returns: the last component for system calls; nil when `path` is the top itself.
    private mutating func name(_ path: TreePath) throws(LinuxSystemError) -> [CChar]? {
        guard let last = path.components.last else { return nil }
        let wanted = path.parent
        if parentPath != wanted {
            parent = root
            parentPath = []
            for component in wanted {
                let directory = directory
                let name = component.map { CChar(bitPattern: $0) } + [0]
                guard mkdirat(directory, name, 0o755) == 0 || errno == EEXIST else { throw .last("mkdir", path.text) }
                parent = SharedDescriptor(try Self.descend(directory, component, path.text))
                parentPath.append(component)
            }
        }
        return last.map { CChar(bitPattern: $0) } + [0]
    }

    private static func descend(
        _ directory: Int32, _ component: [UInt8], _ subject: String
    ) throws(LinuxSystemError) -> FileDescriptor {
        let name = component.map { CChar(bitPattern: $0) } + [0]
        let raw = clinux_openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
        // ELOOP or ENOTDIR for a link, as the kernel likes.
        guard raw >= 0 else { throw .last("open", subject) }
        return FileDescriptor(adopting: raw)
    }

    /// Once more after what was in the way has gone.
    private mutating func make(
        _ name: [CChar], _ path: TreePath, _ call: () -> Int32
    ) throws(LinuxSystemError) -> Int32 {
        var result = call()
        if result < 0, errno == EEXIST, replacing {
            guard unlinkat(directory, name, 0) == 0 || errno == ENOENT else { throw .last("replace", path.text) }
            result = call()
        }
        guard result >= 0 else { throw .last("make", path.text) }
        return result
    }
}
