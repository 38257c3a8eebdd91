/// One line of `/proc/self/mountinfo` that mounts control groups.
///
/// ```
///   34 31 0:32 /docker/4f1 /sys/fs/cgroup/memory rw,nosuid master:9 - cgroup cgroup rw,memory
///              root        mount point           options   optional   type   source super options
/// ```
struct CgroupMount: Hashable {
    /// Which group of the hierarchy is seen at the mount point.
    var root: String
    var mountPoint: String
    var isReadOnly: Bool
    var isUnified: Bool
    /// The options of the file system itself; for v1 they name its controllers.
    var options: [String]

    /// A v1 hierarchy without controllers, as systemd keeps for itself.
    var isNamedOnly: Bool { options.contains { $0.hasPrefix("name=") } }

    /// In the order in which they are to be preferred: as in the table, those that can be written first, and among
    /// mounts of equal rank those that show more of the hierarchy.
    static func all(in mountinfo: String) -> [CgroupMount] {
        mountinfo.split(separator: "\n").compactMap(CgroupMount.init(line:)).enumerated().sorted { one, other in
            let (a, b) = (one.element, other.element)
            if a.isReadOnly != b.isReadOnly { return !a.isReadOnly }
            if a.depth != b.depth { return a.depth < b.depth }
            return one.offset < other.offset
        }.map(\.element)
    }

    private var depth: Int { root == "/" ? 0 : root.count { $0 == "/" } }

    init?(line: Substring) {
        let words = line.split(separator: " ")
        guard let dash = words.dropFirst(6).firstIndex(of: "-"), words.count >= dash + 4 else { return nil }
        let type = words[dash + 1]
        guard type == "cgroup" || type == "cgroup2" else { return nil }
        root = Self.unescaped(words[3])
        mountPoint = Self.unescaped(words[4])
        options = words[dash + 3].split(separator: ",").map(String.init)
        isReadOnly = words[5].split(separator: ",").contains("ro") || options.contains("ro")
        isUnified = type == "cgroup2"
    }

    /// Blanks in paths are written as `\040`.
    private static func unescaped(_ word: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = word.utf8[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), rest.count >= 3,
                let code = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
            {
                bytes.append(code)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
