import CLinux
import Glibc

extension FileTree {
    /// `rm -r`: removes a file, a link (never what it leads to) or a directory with all that is in it. Does not enter
    /// another file system.
    ///
    /// One descriptor is held at a time however deep the tree is: down with `openat` + O_NOFOLLOW, up with `..`, which
    /// is believed only if it is the directory that we came from. Whoever moves things about meanwhile makes this
    /// fail with `.changedMeanwhile`; he cannot make it remove anything above the starting point or behind a link.
    package static func remove(_ path: String) throws(LinuxSystemError) {
        let (parentPath, name) = split(path)
        guard !name.isEmpty else { throw LinuxSystemError(.notPermitted, "remove", path) }
        let parent = try FileDescriptor.open(parentPath, O_RDONLY | O_DIRECTORY)
        try refuseProcess(parent.raw, path)
        let nameBytes = name.utf8CString.map { $0 }
        if unlinkat(parent.raw, nameBytes, 0) == 0 { return try parent.sync(path) }
        guard errno == EISDIR || errno == EPERM else { throw .last("remove", path) }
        var info = stat()
        guard fstatat(parent.raw, nameBytes, &info, AT_SYMLINK_NOFOLLOW) == 0, info.isDirectory else {
            throw LinuxSystemError(.notPermitted, "remove", path)
        }
        try removeContents(of: try descend(parent.raw, nameBytes, path), path)
        guard unlinkat(parent.raw, nameBytes, AT_REMOVEDIR) == 0 || errno == ENOENT else {
            throw .last("remove", path)
        }
        try parent.sync(path)
    }

    private struct Level {
        let name: [CChar]
        let device: dev_t
        let inode: ino_t
    }

    private static func removeContents(of top: consuming FileDescriptor, _ path: String) throws(LinuxSystemError) {
        let topInfo = try top.status(path)
        var current = top
        var currentInfo = topInfo
        // The directories above `current`, with the name by which each was left.
        var above: [Level] = []
        // User code that creates as fast as we remove must not keep us here for ever.
        var retries = 1000
        while true {
            if let child = try removeUntilDirectory(in: current.raw, path) {
                let next: FileDescriptor
                do throws(LinuxSystemError) {
                    next = try descend(current.raw, child, path)
                } catch  where [ENOENT, ENOTDIR, ELOOP].contains(error.code.errno) {
                    // Swapped for something else since it was listed; look again.
                    try spend(&retries, path)
                    continue
                }
                let info = try next.status(path)
                guard info.st_dev == topInfo.st_dev else { throw LinuxSystemError(.crossesMount, "remove", path) }
                above.append(Level(name: child, device: currentInfo.st_dev, inode: currentInfo.st_ino))
                current = next
                currentInfo = info
                continue
            }
            guard let left = above.popLast() else { return }
            let up = try FileDescriptor.open("..", at: current.raw, O_RDONLY | O_DIRECTORY, subject: path)
            let info = try up.status(path)
            guard info.st_dev == left.device, info.st_ino == left.inode else {
                throw LinuxSystemError(.changedMeanwhile, "remove", path)
            }
            current = up
            currentInfo = info
            if unlinkat(current.raw, left.name, AT_REMOVEDIR) != 0 {
                guard [ENOENT, ENOTEMPTY, EEXIST, ENOTDIR].contains(errno) else { throw .last("remove", path) }
                try spend(&retries, path)
            }
        }
    }

    private static func spend(_ retries: inout Int, _ path: String) throws(LinuxSystemError) {
        retries -= 1
        guard retries > 0 else { throw LinuxSystemError(.changedMeanwhile, "remove", path) }
    }

    /// Removes what is not a directory.
    /// - Returns: the first directory met; nil when nothing is left.
    private static func removeUntilDirectory(in directory: Int32, _ path: String) throws(LinuxSystemError) -> [CChar]? {
        var stream = try DirectoryStream(directory, subject: path)
        while let entry = try stream.next() {
            if entry.isDirectory { return entry.name }
            if unlinkat(directory, entry.name, 0) == 0 || errno == ENOENT { continue }
            guard errno == EISDIR else { throw .last("remove", "\(path)/…/\(entry.text)") }
            return entry.name
        }
        return nil
    }

    private static func descend(_ directory: Int32, _ name: [CChar], _ path: String) throws(LinuxSystemError)
        -> FileDescriptor
    {
        let raw = clinux_openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
        guard raw >= 0 else { throw .last("open", path) }
        return FileDescriptor(adopting: raw)
    }
}
