import CLinux
package import Glibc

/// An open file, closed when it goes out of scope.
package struct FileDescriptor: ~Copyable {
    package let raw: Int32

    package init(adopting raw: Int32) { self.raw = raw }
    deinit { close(raw) }

    /// `openat`; always close-on-exec and never a controlling terminal.
    package static func open(
        _ path: String, at directory: Int32 = AT_FDCWD, _ flags: Int32, mode: UInt32 = 0, subject: String? = nil
    ) throws(LinuxSystemError) -> FileDescriptor {
        while true {
            let raw = clinux_openat(directory, path, flags | O_CLOEXEC | O_NOCTTY, mode)
            if raw >= 0 { return FileDescriptor(adopting: raw) }
            guard errno == EINTR else { throw failure(LinuxSystemError.last("open", subject ?? path), path, directory) }
        }
    }

    /// A device that nobody is behind, such as the terminal of a process that has none, is no broken disk.
    private static func failure(_ error: LinuxSystemError, _ path: String, _ directory: Int32) -> LinuxSystemError {
        var info = stat()
        guard error.code.errno == EIO, fstatat(directory, path, &info, 0) == 0, info.st_mode & S_IFMT == S_IFCHR else {
            return error
        }
        return LinuxSystemError(.notRegularFile, error.step, error.subject)
    }

    package func status(_ subject: String) throws(LinuxSystemError) -> stat {
        var info = stat()
        guard fstat(raw, &info) == 0 else { throw .last("stat", subject) }
        return info
    }

    package func sync(_ subject: String) throws(LinuxSystemError) {
        // EINVAL and EROFS: a place that cannot be synced, such as some mounted directories; nothing is lost there.
        guard fsync(raw) == 0 || errno == EINVAL || errno == EROFS else { throw .last("fsync", subject) }
    }

    package func write(_ bytes: UnsafeRawBufferPointer, _ subject: String) throws(LinuxSystemError) {
        var written = 0
        while written < bytes.count {
            let count = Glibc.write(raw, bytes.baseAddress! + written, bytes.count - written)
            if count > 0 {
                written += count
            } else if count == 0 {
                throw LinuxSystemError(.init(errno: ENOSPC), "write", subject)
            } else if errno != EINTR {
                throw .last("write", subject)
            }
        }
    }

    /// - Returns: how many bytes came; none at the end.
    package func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: Int64? = nil, _ subject: String
    ) throws(LinuxSystemError) -> Int {
        while true {
            let count =
                offset.map { pread(raw, buffer.baseAddress, buffer.count, off_t($0)) }
                ?? Glibc.read(raw, buffer.baseAddress, buffer.count)
            if count >= 0 { return count }
            guard errno == EINTR else { throw .last("read", subject) }
        }
    }

    package enum Presence: Sendable { case cached, notCached, unknown }

    /// Whether reading a part waits for no disk, judged by a byte of every 128 KiB, the usual read-ahead.
    package func presence(of part: Range<Int64>) -> Presence {
        var byte: UInt8 = 0
        for offset in Array(stride(from: part.lowerBound, to: part.upperBound, by: 128 << 10)) + [part.upperBound - 1] {
            guard clinux_read_cached(raw, &byte, 1, off_t(offset)) < 0 else { continue }
            return errno == EAGAIN ? .notCached : .unknown
        }
        return .cached
    }

    /// To the end, but no more than `limit` bytes.
    package func readAll(upTo limit: Int, _ subject: String) throws(LinuxSystemError) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(raw, &chunk, chunk.count)
            if count < 0 {
                guard errno == EINTR else { throw .last("read", subject) }
                continue
            }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= limit else { throw LinuxSystemError(.tooLarge, "read", subject) }
        }
    }
}

extension stat {
    package var kind: UInt32 { st_mode & S_IFMT }
    package var isDirectory: Bool { kind == S_IFDIR }

    /// When it was last written, in seconds since 1970, as far as years have four digits. Whoever owns a file sets any number of
    /// 64 bits, and calculating with that would end us.
    package var modifiedSeconds: Int64 { min(max(Int64(st_mtim.tv_sec), -62_135_596_800), 253_402_300_799) }
}
