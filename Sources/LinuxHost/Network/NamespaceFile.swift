import Glibc

/// A network namespace that a file under /run/netns keeps alive.
enum NamespaceFile {
    /// The file is empty until the namespace is mounted over it, and again after a reboot of the machine.
    static func isMounted(_ path: String) -> Bool {
        var file = stat()
        var folder = stat()
        guard stat(path, &file) == 0, let slash = path.lastIndex(of: "/"),
            stat(String(path[..<slash]), &folder) == 0
        else { return false }
        return file.st_dev != folder.st_dev
    }

    /// Lets go of it; processes inside keep the namespace itself alive until they end.
    static func remove(_ path: String) throws(HostError) {
        // More than once when two were mounted over each other; bounded, since each takes one away.
        for _ in 0..<16 where umount2(path, MNT_DETACH_FLAG) != 0 { break }
        guard unlink(path) == 0 || errno == ENOENT else { throw HostError("cannot remove \(path)", errno: errno) }
    }

    /// MNT_DETACH of <sys/mount.h>, which is an enumeration there.
    private static let MNT_DETACH_FLAG: Int32 = 2
}

/// The interface that packets leave this machine by.
enum Uplink {
    /// The most that goes through it in one packet; 1500 when there is none. A container that believes in more loses
    /// its first large packets, or all of them where the messages about it are filtered.
    static func mtu() -> Int {
        let routes = SmallFile.read("/proc/net/route") ?? ""
        for line in routes.split(separator: "\n").dropFirst() {
            let fields = line.split(separator: "\t")
            guard fields.count > 7, fields[1] == "00000000", fields[7] == "00000000",
                let text = SmallFile.read("/sys/class/net/\(fields[0])/mtu"),
                let mtu = Int(text.prefix { $0.isNumber })
            else { continue }
            return min(max(mtu, 1280), 1500)
        }
        return 1500
    }
}
