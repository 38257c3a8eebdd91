import Glibc

extension FileTree {
    /// Creates or replaces a file so that it is there, whole, after a crash that follows the return, and never half
    /// there before it (see `PendingFile`). Parents are made.
    package static func write(
        _ path: String, _ bytes: UnsafeRawBufferPointer, newFileMode: UInt32 = 0o644
    ) throws(LinuxSystemError) -> Entry {
        var file = try PendingFile(path, newFileMode: newFileMode)
        try file.write(bytes)
        return try file.commit()
    }

    /// `mkdir -p`. Links on the way are followed.
    package static func makeDirectories(_ path: String) throws(LinuxSystemError) {
        var made = ""
        for component in components(path) {
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
        for component in components(path) {
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

    /// Makes what is missing of the directory that a file is to be in. What is made belongs to `owner`; links on the way
    /// to what is there are followed, so it is for places that nobody else changes at the same time.
    package static func makeParents(of path: String, owner: ThreadIdentity) throws(LinuxSystemError) {
        var (there, missing) = (split(path).parent, [String]())
        var info = stat()
        while stat(there, &info) != 0 {
            guard errno == ENOENT else { throw .last("stat", path) }
            let (parent, name) = split(there)
            missing.insert(name, at: 0)
            there = parent
        }
        guard !missing.isEmpty else { return }
        guard let real = realpath(there, nil) else { throw .last("resolve", path) }
        defer { free(real) }
        try makeDirectories(([String(cString: real)] + missing).joined(separator: "/"), owner: owner)
    }

    /// Where a write through `path` ends: the last component's links resolved, the file itself need not exist.
    static func followingLinks(_ path: String) throws(LinuxSystemError) -> String {
        var path = path
        for _ in 0..<40 {  // as many as the kernel follows
            var info = stat()
            guard lstat(path, &info) == 0, info.kind == S_IFLNK else { return path }
            var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
            let count = readlink(path, &buffer, buffer.count)
            guard count >= 0 else { throw .last("readlink", path) }
            let target = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
            path = target.utf8.first == UInt8(ascii: "/") ? target : split(path).parent + "/" + target
        }
        throw LinuxSystemError(.init(errno: ELOOP), "open", path)
    }

    /// By bytes: a combining mark behind it makes a slash another Character.
    private static func components(_ path: String) -> [String] {
        path.utf8.split(separator: UInt8(ascii: "/")).map { String(Substring($0)) }
    }

    static func split(_ path: String) -> (parent: String, name: String) {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return ("/", path) }
        let parent = String(path[..<slash])
        return (parent.isEmpty ? "/" : parent, String(path[path.utf8.index(after: slash)...]))
    }
}
