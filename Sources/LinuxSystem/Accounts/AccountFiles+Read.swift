import Glibc

extension AccountFiles {
    /// Reads both files anew: user code may add users. A missing group file is no groups.
    package static func read(
        passwd: String = "/etc/passwd", group: String = "/etc/group"
    ) throws(LinuxSystemError) -> AccountFiles {
        let passwdText = try text(passwd)
        do throws(LinuxSystemError) {
            return AccountFiles(passwd: passwdText, group: try text(group))
        } catch where error.code == .notFound {
            return AccountFiles(passwd: passwdText, group: "")
        }
    }

    private static func text(_ path: String) throws(LinuxSystemError) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw .last("open", path) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 14)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .last("read", path) }
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += chunk[..<count]
            // Real ones have kilobytes; a user with root could make it endless.
            guard bytes.count <= 4 << 20 else { throw LinuxSystemError(.tooLarge, "read", path) }
        }
    }
}
