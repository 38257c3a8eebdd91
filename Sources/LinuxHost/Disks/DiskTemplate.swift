import Glibc

/// An empty ext4 file system of one size, made once; each disk is a sparse copy of it.
///
/// Making a file system takes tens of milliseconds and a process; copying the few hundred kilobytes of it that are
/// not zeros takes one.
enum DiskTemplate {
    static func path(in folder: String, sizeBytes: Int) -> String { "\(folder)/ext4-\(sizeBytes).img" }

    static func make(sizeBytes: Int, in folder: String, tools: Tools) async throws(HostError) -> String {
        let path = path(in: folder, sizeBytes: sizeBytes)
        if access(path, F_OK) == 0 { return path }
        try DirectoryListing.make(folder)
        // Named by chance: two may make it at once, and the last one to rename wins with an equal file.
        let draft = "\(path).\(UInt32.random(in: 0 ... .max))"
        defer { unlink(draft) }
        try await format(draft, sizeBytes: sizeBytes, tools: tools)
        guard rename(draft, path) == 0 else { throw HostError("cannot make \(path)", errno: errno) }
        return path
    }

    /// Makes a file that holds an empty file system. One that cannot be made whole may be left.
    static func format(_ draft: String, sizeBytes: Int, tools: Tools) async throws(HostError) {
        let file = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw HostError("cannot make \(draft)", errno: errno) }
        let sized = ftruncate(file, off_t(sizeBytes))
        let reason = errno
        close(file)
        guard sized == 0 else { throw HostError("cannot make a file of \(sizeBytes) bytes", errno: reason) }
        do throws(ToolError) {
            try await tools.run(
                "mkfs.ext4",
                [
                    // Nothing is kept back for root. One inode for each 8 KiB: dependencies of programs are trees of
                    // small files. A small journal: its size is lost to every disk. What is zero is not written.
                    "-q", "-F", "-m", "0", "-i", "8192", "-J", "size=4", "-O", "^resize_inode", "-E",
                    "lazy_itable_init=1,lazy_journal_init=1,nodiscard", draft,
                ], deadline: .seconds(60))
        } catch {
            throw HostError("cannot make a file system of \(sizeBytes) bytes", error)
        }
    }

    /// Whether a file system that is not mounted has errors on record: `s_state` of its superblock, which begins 1,024
    /// bytes into it (Linux, fs/ext4/ext4.h).
    static func saysItIsBroken(_ image: String) throws(HostError) -> Bool {
        let file = open(image, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw HostError("cannot read \(image)", errno: errno) }
        defer { close(file) }
        var state: [UInt8] = [0, 0]
        guard pread(file, &state, 2, 1024 + 0x3a) == 2 else { throw HostError("cannot read \(image)", errno: errno) }
        return state[0] & 2 != 0
    }

    /// Copies what is not a hole, and puts the copy in place as a whole.
    static func copy(_ template: String, to path: String) throws(HostError) {
        let draft = path + ".new"
        unlink(draft)
        let source = open(template, O_RDONLY | O_CLOEXEC)
        guard source >= 0 else { throw HostError("cannot read \(template)", errno: errno) }
        defer { close(source) }
        let target = open(draft, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard target >= 0 else { throw HostError("cannot make \(draft)", errno: errno) }
        defer { close(target) }
        do throws(HostError) {
            let size = lseek(source, 0, Whence.end)
            guard size >= 0, ftruncate(target, size) == 0 else { throw HostError("cannot size \(draft)", errno: errno) }
            var offset: off_t = 0
            while offset < size {
                let start = lseek(source, offset, Whence.data)
                if start < 0 && errno == ENXIO { break }
                guard start >= 0 else { throw HostError("cannot read \(template)", errno: errno) }
                let end = lseek(source, start, Whence.hole)
                guard end > start else { throw HostError("cannot read \(template)", errno: errno) }
                try copy(source, target, from: start, to: end)
                offset = end
            }
        } catch {
            unlink(draft)
            throw error
        }
        guard rename(draft, path) == 0 else { throw HostError("cannot make \(path)", errno: errno) }
    }

    private static func copy(_ source: Int32, _ target: Int32, from start: off_t, to end: off_t) throws(HostError) {
        var buffer = [UInt8](repeating: 0, count: 1 << 18)
        var offset = start
        while offset < end {
            let wanted = min(buffer.count, Int(end - offset))
            let count = pread(source, &buffer, wanted, offset)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw HostError("cannot read the template of a disk", errno: errno) }
            var written = 0
            while written < count {
                let step = buffer[written..<count].withUnsafeBytes {
                    pwrite(target, $0.baseAddress, $0.count, offset + off_t(written))
                }
                if step < 0 && errno == EINTR { continue }
                guard step > 0 else { throw HostError("cannot copy the template of a disk", errno: errno) }
                written += step
            }
            offset += off_t(count)
        }
    }

    /// SEEK_END, SEEK_DATA and SEEK_HOLE of <unistd.h>; the last two are hidden from Swift by their condition.
    private enum Whence {
        static let end: Int32 = 2
        static let data: Int32 = 3
        static let hole: Int32 = 4
    }
}
