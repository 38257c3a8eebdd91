import ComputeRuntime
import Glibc

/// Deletes a directory that a stranger filled: no symbolic link is followed, modes do not matter, and no depth
/// of nesting exhausts the stack or the descriptors.
enum DirectoryRemoval {
    /// Deeper directories are first moved up to the top: one descriptor is open per level.
    private static let maximumDepth = 32

    /// Removing what is not there succeeds.
    static func remove(_ path: String) throws(RuntimeError) {
        guard let top = openDirectory(AT_FDCWD, Array(path.utf8CString)) else {
            if errno == ENOENT { return }
            throw .system("cannot open \(path)")
        }
        defer { close(top) }
        var moved = 0
        repeat {
            try removeEntries(of: top, top: top, depth: 0, moved: &moved, path: path)
        } while !(entries(of: top) ?? []).isEmpty
        guard rmdir(path) == 0 || errno == ENOENT else { throw .system("cannot remove \(path)") }
    }

    private static func removeEntries(
        of directory: Int32, top: Int32, depth: Int, moved: inout Int, path: String
    ) throws(RuntimeError) {
        guard let names = entries(of: directory) else { throw .system("cannot list a directory in \(path)") }
        for name in names {
            if unlinkat(directory, name, 0) == 0 || errno == ENOENT { continue }
            guard errno == EISDIR || errno == EPERM else { throw .system("cannot delete a file in \(path)") }
            if unlinkat(directory, name, AT_REMOVEDIR) == 0 || errno == ENOENT { continue }
            guard let child = openDirectory(directory, name) else {
                throw .system("cannot open a directory in \(path)")
            }
            defer { close(child) }
            if depth == maximumDepth {
                moved += 1
                guard renameat(directory, name, top, ".removing-\(moved)") == 0 else {
                    throw .system("cannot move a directory in \(path)")
                }
                continue
            }
            try removeEntries(of: child, top: top, depth: depth + 1, moved: &moved, path: path)
            guard unlinkat(directory, name, AT_REMOVEDIR) == 0 || errno == ENOENT else {
                throw .system("cannot delete a directory in \(path)")
            }
        }
    }

    /// Opens a directory, never a link to one, and makes it ours to change, whatever mode its owner gave it.
    private static func openDirectory(_ parent: Int32, _ name: [CChar]) -> Int32? {
        // O_PATH needs no permission on the directory itself, and the mode is then changed through the descriptor:
        // a name could mean something else by now.
        let path = openat(parent, name, O_PATH_ | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard path >= 0 else { return nil }
        defer { close(path) }
        chmod("/proc/self/fd/\(path)", 0o700)
        let directory = openat(path, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        return directory >= 0 ? directory : nil
    }

    private static func entries(of directory: Int32) -> [[CChar]]? {
        let copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0 else { return nil }
        guard let stream = fdopendir(copy) else {
            close(copy)
            return nil
        }
        defer { closedir(stream) }
        return entryNames(of: stream)
    }

    /// `O_PATH` is behind `_GNU_SOURCE`, which Swift's Glibc module does not define.
    private static let O_PATH_: Int32 = 0o10000000
}
