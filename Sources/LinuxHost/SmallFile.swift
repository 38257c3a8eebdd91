import Glibc

/// Files of the kernel and of ours that are read and written in one piece.
enum SmallFile {
    /// - Returns: at most the first 64 KiB; nil when it cannot be read.
    static func read(_ path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        var length = 0
        while length < bytes.count {
            let count = bytes[length...].withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { break }
            length += count
        }
        return String(decoding: bytes[..<length], as: UTF8.self)
    }

    /// Writes in place: for files of the kernel.
    @discardableResult
    static func set(_ path: String, _ text: String) -> Bool {
        let file = open(path, O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return false }
        defer { close(file) }
        let bytes = Array(text.utf8)
        return Glibc.write(file, bytes, bytes.count) == bytes.count
    }

    /// Puts a file in place as a whole: a crash leaves the old content or the new one.
    /// - Parameter synced: whether that holds for a power cut too.
    static func replace(_ path: String, _ text: String, synced: Bool = true) throws(HostError) {
        let new = path + ".new"
        let file = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw HostError("cannot write \(new)", errno: errno) }
        let bytes = Array(text.utf8)
        let written = Glibc.write(file, bytes, bytes.count) == bytes.count && (!synced || fsync(file) == 0)
        let reason = errno
        close(file)
        guard written, rename(new, path) == 0 else {
            throw HostError("cannot write \(path)", errno: written ? errno : reason)
        }
    }
}

package enum DirectoryListing {
    /// Without `.` and `..`; empty when there is no such folder.
    package static func names(in folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Makes the folder and those above it.
    static func make(_ folder: String, mode: mode_t = 0o700) throws(HostError) {
        if mkdir(folder, mode) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = folder.lastIndex(of: "/"), slash != folder.startIndex else {
            throw HostError("cannot make \(folder)", errno: errno)
        }
        try make(String(folder[..<slash]), mode: mode)
        guard mkdir(folder, mode) == 0 || errno == EEXIST else {
            throw HostError("cannot make \(folder)", errno: errno)
        }
    }
}
