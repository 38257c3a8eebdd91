import Glibc

/// The small files by which kernels are asked and told: read and written in one call each.
enum ControlFile {
    /// - Returns: nil when it is missing or cannot be read.
    static func read(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { return nil }
            guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
            bytes.append(contentsOf: chunk.prefix(count))
        }
    }

    /// - Returns: 0 or an errno.
    static func write(_ path: String, _ text: String) -> Int32 {
        // Never created: in a cgroup tree a file that is not there is a controller that is not there.
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return errno }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        while true {
            let count = Glibc.write(descriptor, bytes, bytes.count)
            if count == bytes.count { return 0 }
            if count < 0 && errno == EINTR { continue }
            return count < 0 ? errno : EIO
        }
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    static func number(_ path: String) -> Int? {
        read(path).flatMap { Int($0.split(whereSeparator: \.isWhitespace).first ?? "") }
    }

    static func subdirectories(of path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            guard entry.pointee.d_type == UInt8(DT_DIR) else { continue }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }
}
