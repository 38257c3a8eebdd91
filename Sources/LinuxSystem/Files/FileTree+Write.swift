import Glibc

extension FileTree {
    /// Creates or replaces a file so that it is there, whole, after a crash that follows the return, and never half
    /// there before it: temporary file beside it, fsync, rename, fsync of the directory. Parents are made.
    ///
    /// A replaced file keeps its mode and gets the writer as owner; a link in its place is followed. A second name
    /// (hard link) of the replaced file keeps the old content.
    package static func write(
        _ path: String, _ bytes: UnsafeRawBufferPointer, newFileMode: UInt32 = 0o644
    ) throws(LinuxSystemError) -> Entry {
        let target = try followingLinks(path)
        let (parentPath, name) = split(target)
        guard !name.isEmpty else { throw LinuxSystemError(.isDirectory, "write", path) }
        try makeDirectories(parentPath)
        let parent = try FileDescriptor.open(parentPath, O_RDONLY | O_DIRECTORY)
        try refuseProcess(parent.raw, path)

        var mode = newFileMode
        var existing = stat()
        if fstatat(parent.raw, name, &existing, AT_SYMLINK_NOFOLLOW) == 0 {
            guard !existing.isDirectory else { throw LinuxSystemError(.isDirectory, "write", path) }
            guard existing.kind == S_IFREG else { throw LinuxSystemError(.notRegularFile, "write", path) }
            mode = existing.st_mode & 0o777
        }

        let temporary = ".sidekick-\(UInt64.random(in: 0 ... .max)).tmp"
        let file = try FileDescriptor.open(
            temporary, at: parent.raw, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600, subject: path)
        do throws(LinuxSystemError) {
            try file.write(bytes, path)
            guard fchmod(file.raw, mode) == 0 else { throw .last("chmod", path) }
            try file.sync(path)
            guard renameat(parent.raw, temporary, parent.raw, name) == 0 else { throw .last("rename", path) }
        } catch {
            unlinkat(parent.raw, temporary, 0)
            throw error
        }
        try parent.sync(path)
        return entry(path, try file.status(path))
    }

    /// `mkdir -p`. Links on the way are followed.
    package static func makeDirectories(_ path: String) throws(LinuxSystemError) {
        var made = ""
        for component in path.split(separator: "/") {
            let parent = made.isEmpty ? "/" : made
            made += "/\(component)"
            if mkdir(made, 0o755) == 0 {
                // The new name must survive a crash as much as the file that is put into it.
                try FileDescriptor.open(parent, O_RDONLY | O_DIRECTORY).sync(parent)
                continue
            }
            let failure = LinuxSystemError.last("mkdir", made)
            var info = stat()
            guard stat(made, &info) == 0 else { throw failure }
            guard info.isDirectory else { throw LinuxSystemError(.notDirectory, "mkdir", made) }
        }
    }

    /// `mkdir -p` for somebody else, by a caller who may do everything: what is made belongs to `owner`, what was
    /// there keeps its owner, and no link is followed, so that nothing can be lured elsewhere.
    package static func makeDirectories(_ path: String, owner: ThreadIdentity) throws(LinuxSystemError) {
        var directory = try FileDescriptor.open("/", O_RDONLY | O_DIRECTORY)
        for component in path.split(separator: "/").map(String.init) {
            let isNew = mkdirat(directory.raw, component, 0o755) == 0
            guard isNew || errno == EEXIST else { throw .last("mkdir", path) }
            let next = try FileDescriptor.open(
                component, at: directory.raw, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, subject: path)
            if isNew {
                guard fchown(next.raw, owner.uid, owner.gid) == 0 else { throw .last("chown", path) }
            }
            directory = next
        }
    }

    /// Where a write through `path` ends: the last component's links resolved, the file itself need not exist.
    private static func followingLinks(_ path: String) throws(LinuxSystemError) -> String {
        var path = path
        for _ in 0..<40 {  // as many as the kernel follows
            var info = stat()
            guard lstat(path, &info) == 0, info.kind == S_IFLNK else { return path }
            var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
            let count = readlink(path, &buffer, buffer.count)
            guard count >= 0 else { throw .last("readlink", path) }
            let target = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
            path = target.hasPrefix("/") ? target : split(path).parent + "/" + target
        }
        throw LinuxSystemError(.init(errno: ELOOP), "open", path)
    }

    static func split(_ path: String) -> (parent: String, name: String) {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return ("/", path) }
        let parent = String(path[..<slash])
        return (parent.isEmpty ? "/" : parent, String(path[path.utf8.index(after: slash)...]))
    }
}
