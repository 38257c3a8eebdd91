import EventSourcing
import Glibc

/// The database file, made before SQLite opens it: SQLite would give it the umask's mode, and its `-wal` and `-shm`
/// files take theirs from it.
enum DatabaseFile {
    /// Makes the file if there is none, and lets only its owner read and write it.
    static func prepare(at path: String, makes: Bool) throws(EventStoreError) {
        let descriptor = open(path, O_RDWR | (makes ? O_CREAT : 0) | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("open", path) }
        defer { close(descriptor) }
        guard fchmod(descriptor, 0o600) == 0 else { throw failure("protect", path) }
        try syncDirectory(of: path)
    }

    /// A new file is only there after a power loss when its directory was written, too.
    private static func syncDirectory(of path: String) throws(EventStoreError) {
        let parent = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let descriptor = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open", parent) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure("sync", parent) }
    }

    private static func failure(_ action: String, _ path: String) -> EventStoreError {
        EventStoreError(.unavailable, "cannot \(action) \(path): \(String(cString: strerror(errno)))")
    }
}
