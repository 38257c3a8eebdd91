import Glibc

/// Which sockets listen in this network namespace, and which processes hold them. Blocking.
package enum SocketScan {
    /// More than any honest machine listens on; a kernel that lists more is read no further.
    private static let maxBytes = 4 << 20

    /// IPv4's first, each port as often as it is listened on.
    package static func listening() -> [ListeningSocket] {
        ["/proc/net/tcp", "/proc/net/tcp6"].flatMap { path -> [ListeningSocket] in
            // A kernel without IPv6 has no second file.
            guard let file = try? FileDescriptor.open(path, O_RDONLY),
                let bytes = try? file.readAll(upTo: maxBytes, path)
            else { return [] }
            return ListeningSocket.parse(String(decoding: bytes, as: UTF8.self))
        }
    }

    /// The sockets among a process's descriptors, by inode.
    /// - Throws: when the kernel does not let this thread look, or there is no such process.
    package static func sockets(of pid: Int32) throws(LinuxSystemError) -> [UInt64] {
        let path = "/proc/\(pid)/fd"
        let directory = try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY)
        var stream = try DirectoryStream(directory.raw, subject: path)
        var inodes: [UInt64] = []
        while let entry = try stream.next() {
            var target = [CChar](repeating: 0, count: 64)
            let count = readlinkat(directory.raw, entry.name, &target, target.count)
            // Closed between listing and looking.
            guard count > 0 else { continue }
            let text = String(decoding: target[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
            guard text.hasPrefix("socket:["), text.hasSuffix("]"),
                let inode = UInt64(text.dropFirst(8).dropLast())
            else { continue }
            inodes.append(inode)
        }
        return inodes
    }
}
