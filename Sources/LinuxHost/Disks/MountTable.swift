import Glibc

/// What is mounted on this machine, read from the kernel.
package enum MountTable {
    /// - Parameter text: /proc/self/mountinfo.
    /// - Returns: mount points at or below `folder`, the newest first, which is the order to unmount them in.
    package static func points(below folder: String, in text: String) -> [String] {
        text.split(separator: "\n").compactMap { line -> String? in
            let fields = line.split(separator: " ", maxSplits: 5)
            guard fields.count > 4 else { return nil }
            var point = decoded(fields[4])
            // A mount point whose folder was removed in another mount namespace.
            if point.hasSuffix("//deleted") { point.removeLast(9) }
            return point == folder || point.hasPrefix(folder + "/") ? point : nil
        }.reversed()
    }

    /// The kernel writes space, tab, newline and backslash as three octal digits.
    private static func decoded(_ field: Substring) -> String {
        guard field.contains("\\") else { return String(field) }
        var bytes: [UInt8] = []
        let source = Array(field.utf8)
        var index = 0
        while index < source.count {
            if source[index] == UInt8(ascii: "\\"), index + 3 < source.count,
                let code = UInt8(String(decoding: source[index + 1...index + 3], as: UTF8.self), radix: 8)
            {
                bytes.append(code)
                index += 4
            } else {
                bytes.append(source[index])
                index += 1
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The whole table; it may be longer than any buffer chosen beforehand.
    static func read() -> String {
        let file = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return "" }
        defer { close(file) }
        var text: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(file, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return String(decoding: text, as: UTF8.self) }
            text += chunk[..<count]
        }
    }
}

/// Loop devices, which make a disk of a file.
package enum LoopDevices {
    /// - Returns: `/dev/loopN` of each whose file lies below `folder`, also when the file is deleted by now.
    package static func backed(below folder: String) -> [String] {
        DirectoryListing.names(in: "/sys/block").filter { device in
            guard device.hasPrefix("loop"),
                var file = SmallFile.read("/sys/block/\(device)/loop/backing_file")?.split(separator: "\n").first
            else { return false }
            if file.hasSuffix(" (deleted)") { file.removeLast(10) }
            return file.hasPrefix(folder + "/")
        }.map { "/dev/\($0)" }
    }
}
