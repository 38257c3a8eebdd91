import Glibc
import LinuxSystem

/// The gVisor that Debian 12 packages refuses a flag that `ls` and `stat` of its own coreutils set on every call. Where
/// that is so, programs are made to load a library first that leaves the flag out (Sources/CStatFlags).
enum StatFlags {
    /// Whoever lays the Sidekick into a root file system puts it there, beside the Sidekick's own folder.
    private static let library = "/computesdk/lib/libstatflags.so"
    private static let preload = "/etc/ld.so.preload"
    private static let noAutomount: Int32 = 0x800

    /// Only as the first process, where the root file system is ours to change; and no kernel but that one refuses.
    static func mend() {
        var info = stat()
        guard getpid() == 1, fstatat(AT_FDCWD, "/", &info, noAutomount) != 0, errno == EINVAL else { return }
        guard access(library, R_OK) == 0 else { return complain() }
        let line = Array("\(library)\n".utf8)
        // Appended: an image may preload a library of its own. Once: a compute may be started again on its disk.
        let file = open(preload, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0o644)
        guard file >= 0 else { return complain() }
        defer { close(file) }
        var known = [UInt8](repeating: 0, count: 4096)
        let count = max(0, read(file, &known, known.count))
        if String(decoding: known.prefix(count), as: UTF8.self).contains(library) { return }
        if write(file, line, line.count) != line.count { complain() }
    }

    private static func complain() {
        SidekickLog.write(
            .warning, "a library cannot be preloaded; ls and stat will fail", ["errno": "\(errno)"])
    }
}
