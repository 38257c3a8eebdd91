import CLinux
package import Glibc

/// A file on its way to its place: a temporary one beside it, written piece by piece, that `commit` puts there whole and
/// durable. Until then the old file is what everybody sees; when this value goes away without a commit, it stays.
///
/// A replaced file keeps its mode and gets the writer as owner; a link in its place is followed. A second name
/// (hard link) of the replaced file keeps the old content.
package struct PendingFile: ~Copyable {
    /// All that it takes to go on with it in another process.
    package struct Place: Hashable, Codable, Sendable {
        package let path: String
        let directory: String
        let name: String
        let temporary: String
        let mode: UInt32
        /// Nothing was in its place when it was begun.
        package let isNew: Bool
    }

    package let place: Place
    /// Bytes written so far.
    package private(set) var size: Int64 = 0
    /// Whether what was written outlives this value, so that it can be gone on with.
    package var isKept = false
    private let parent: FileDescriptor
    private let file: FileDescriptor
    private var isThere = false
    private var writtenBack: Int64 = 0
    private static let writeBackBytes: Int64 = 8 << 20

    private var path: String { place.path }

    /// Makes the parents that are missing.
    /// - Parameter mode: of the file, also of one that is replaced; nil keeps that one's.
    package init(_ path: String, mode: UInt32? = nil, newFileMode: UInt32 = 0o644) throws(LinuxSystemError) {
        let target = try FileTree.followingLinks(path)
        let (directory, name) = FileTree.split(target)
        guard !name.isEmpty else { throw LinuxSystemError(.isDirectory, "write", path) }
        try FileTree.makeDirectories(directory)
        let parent = try FileDescriptor.open(directory, O_RDONLY | O_DIRECTORY)
        try FileTree.refuseProcess(parent.raw, path)
        let old = try FileTree.replaceable(name, in: parent.raw, path)
        let temporary = ".sidekick-\(UInt64.random(in: 0 ... .max)).tmp"
        file = try FileDescriptor.open(
            temporary, at: parent.raw, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600, subject: path)
        self.parent = parent
        place = Place(
            path: path, directory: directory, name: name, temporary: temporary,
            mode: mode ?? old.map { $0.st_mode & 0o777 } ?? newFileMode, isNew: old == nil)
    }

    /// Goes on with one that was kept, behind all that is there of it.
    package init(resuming place: Place) throws(LinuxSystemError) {
        let parent = try FileDescriptor.open(place.directory, O_RDONLY | O_DIRECTORY)
        // Without O_NONBLOCK, a pipe that took its place would hold the thread.
        let file = try FileDescriptor.open(
            place.temporary, at: parent.raw, O_RDWR | O_NOFOLLOW | O_NONBLOCK, subject: place.path)
        let info = try file.status(place.path)
        guard info.kind == S_IFREG else { throw LinuxSystemError(.notRegularFile, "resume", place.path) }
        guard lseek(file.raw, 0, SEEK_END) == info.st_size else { throw .last("seek", place.path) }
        self.place = place
        self.parent = parent
        self.file = file
        size = Int64(info.st_size)
        // What is there was acknowledged, and so is on the disk.
        writtenBack = size
        isKept = true
    }

    deinit {
        if !isThere && !isKept { unlinkat(parent.raw, place.temporary, 0) }
    }

    package mutating func write(_ bytes: UnsafeRawBufferPointer) throws(LinuxSystemError) {
        do throws(LinuxSystemError) {
            try file.write(bytes, path)
        } catch {
            // Whoever goes on later (a full disk can be emptied) goes on after what was acknowledged.
            ftruncate(file.raw, off_t(size))
            lseek(file.raw, off_t(size), SEEK_SET)
            throw error
        }
        size += Int64(bytes.count)
        guard size - writtenBack >= Self.writeBackBytes else { return }
        // The disk works while more comes, and `commit` finds little left to wait for. Nothing hangs on it.
        _ = clinux_write_back(file.raw, off_t(writtenBack), off_t(size - writtenBack))
        writtenBack = size
    }

    /// A piece of what was written.
    package func read(at offset: Int64, upTo limit: Int) throws(LinuxSystemError) -> [UInt8] {
        var piece = [UInt8](repeating: 0, count: limit)
        let count = try piece.withUnsafeMutableBytes { bytes -> Result<Int, LinuxSystemError> in
            do throws(LinuxSystemError) { return .success(try file.read(into: bytes, at: offset, path)) } catch {
                return .failure(error)
            }
        }.get()
        return Array(piece[..<count])
    }

    /// For whoever may do everything: the file will be somebody else's.
    package func give(to owner: ThreadIdentity) throws(LinuxSystemError) {
        guard fchown(file.raw, owner.uid, owner.gid) == 0 else { throw .last("chown", path) }
    }

    /// What was written so far is on disk.
    package func sync() throws(LinuxSystemError) { try file.sync(path) }

    /// - Parameter replacing: false refuses with EEXIST when something is there by now.
    /// - Returns: the file, in its place and on disk with its name.
    package mutating func commit(
        replacing: Bool = true, modified: timespec? = nil
    ) throws(LinuxSystemError) -> FileTree.Entry {
        guard fchmod(file.raw, place.mode) == 0 else { throw .last("chmod", path) }
        if let modified {
            let times = [modified, modified]
            guard futimens(file.raw, times) == 0 else { throw .last("set the time", path) }
        }
        try file.sync(path)
        // A device or pipe that came meanwhile is not ours to remove.
        _ = try FileTree.replaceable(place.name, in: parent.raw, path)
        try FileTree.rename(parent.raw, place.temporary, parent.raw, place.name, replacing: replacing, path)
        isThere = true
        try parent.sync(path)
        return FileTree.entry(path, try file.status(path))
    }
}

extension FileTree {
    /// What a write would replace; nil when nothing is there.
    /// - Throws: when it is no regular file.
    static func replaceable(_ name: String, in parent: Int32, _ path: String) throws(LinuxSystemError) -> stat? {
        var existing = stat()
        guard fstatat(parent, name, &existing, AT_SYMLINK_NOFOLLOW) == 0 else { return nil }
        guard !existing.isDirectory else { throw LinuxSystemError(.isDirectory, "write", path) }
        // A link was followed before; one that came since is replaced like a file.
        guard existing.kind == S_IFREG || existing.kind == S_IFLNK else {
            throw LinuxSystemError(.notRegularFile, "write", path)
        }
        return existing
    }

    static func rename(
        _ fromParent: Int32, _ from: String, _ toParent: Int32, _ to: String, replacing: Bool, _ path: String
    ) throws(LinuxSystemError) {
        if replacing {
            guard renameat(fromParent, from, toParent, to) == 0 else { throw .last("rename", path) }
            return
        }
        if clinux_rename_no_replace(fromParent, from, toParent, to) == 0 { return }
        guard errno == EINVAL || errno == ENOSYS else { throw .last("rename", path) }
        // A file system without the flag. A link is refused when the name is taken, but directories have none.
        if linkat(fromParent, from, toParent, to, 0) == 0 {
            unlinkat(fromParent, from, 0)
            return
        }
        guard errno == EPERM || errno == EISDIR else { throw .last("rename", path) }
        guard faccessat(toParent, to, F_OK, AT_SYMLINK_NOFOLLOW) != 0 else {
            throw LinuxSystemError(.alreadyThere, "rename", path)
        }
        guard renameat(fromParent, from, toParent, to) == 0 else { throw .last("rename", path) }
    }
}
