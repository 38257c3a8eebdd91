import ComputeCore
import Glibc
import HTTPServing
import LinuxSystem
import NIOCore
import Synchronization

/// A regular file that is open for reading, as it was when it was opened.
struct OpenedFile: Sendable {
    /// Large enough that a hop between threads costs nothing against it.
    static let pieceBytes = 512 << 10

    let file: SharedDescriptor
    let path: String
    let size: Int64
    /// Changes with every change of the file: two contents never share it, except by somebody who sets clocks back.
    let entityTag: String
    /// As in HTTP.
    let lastModified: String

    init(_ path: String) throws(LinuxSystemError) {
        // Without O_NONBLOCK, a pipe without a writer would hold the thread for ever.
        let descriptor = try FileDescriptor.open(path, O_RDONLY | O_NONBLOCK)
        let info = try descriptor.status(path)
        guard !info.isDirectory else { throw LinuxSystemError(.isDirectory, "read", path) }
        guard info.kind == S_IFREG else { throw LinuxSystemError(.notRegularFile, "read", path) }
        try FileTree.refuseProcess(descriptor.raw, path)
        file = SharedDescriptor(descriptor)
        self.path = path
        size = Int64(info.st_size)
        let parts = [
            Int(bitPattern: info.st_ino), info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_ctim.tv_sec,
            info.st_ctim.tv_nsec,
        ]
        entityTag = "\"\(parts.map { String($0, radix: 36) }.joined(separator: "-"))\""
        lastModified = Self.httpDate(info.modifiedSeconds)
    }

    /// What goes out at once: every portion costs some calls, which are dear in gVisor.
    private static let portionBytes: Int64 = 4 << 20

    /// The portion of `whole` that begins at `offset`; empty behind its end.
    static func portion(of whole: Range<Int64>, at offset: Int64) -> Range<Int64> {
        offset..<min(whole.upperBound, offset + portionBytes)
    }

    /// Fills `piece` with what comes from there; empty at the end.
    func read(into piece: Piece, at offset: Int64, upTo limit: Int64) throws(LinuxSystemError) {
        try piece.fill(upTo: limit) { (bytes) throws(LinuxSystemError) in
            try file.descriptor.read(into: bytes, at: offset, path)
        }
    }

    /// Room for a part of a file, used again and again: new memory for each would cost more than the reading, since the kernel
    /// gives it page by page.
    final class Piece: Sendable {
        private let buffer = Mutex(ByteBuffer())

        /// Valid until the next `fill`, which takes new memory if somebody holds on to it.
        var bytes: ByteBuffer { buffer.withLock { $0 } }

        fileprivate func fill(
            upTo limit: Int64, _ read: (UnsafeMutableRawBufferPointer) throws(LinuxSystemError) -> Int
        ) throws(LinuxSystemError) {
            let count = Int(min(limit, Int64(OpenedFile.pieceBytes)))
            try buffer.withLock { buffer -> Result<Void, LinuxSystemError> in
                var failure: LinuxSystemError?
                buffer.clear(minimumCapacity: count)
                buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { bytes in
                    do throws(LinuxSystemError) {
                        return try read(UnsafeMutableRawBufferPointer(rebasing: bytes[..<count]))
                    } catch {
                        failure = error
                        return 0
                    }
                }
                return failure.map { .failure($0) } ?? .success(())
            }.get()
        }
    }

    /// `Sun, 06 Nov 1994 08:49:37 GMT`
    static func httpDate(_ seconds: Int64) -> String {
        var time = time_t(seconds)
        var parts = tm()
        gmtime_r(&time, &parts)
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let day = days[Int(parts.tm_wday) % 7]
        let month = months[Int(parts.tm_mon) % 12]
        return "\(day), \(two(parts.tm_mday)) \(month) \(parts.tm_year + 1900) "
            + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) GMT"
    }
}

extension FileService {
    func open(_ path: FilePath, as user: UserIdentity) async throws -> OpenedFile {
        try await withFallback(path, user) { path throws(LinuxSystemError) in try OpenedFile(path) }
    }

    func read(
        _ file: OpenedFile, into piece: OpenedFile.Piece, at offset: Int64, upTo limit: Int64, as user: UserIdentity
    ) async throws {
        try await perform(file.path, user) { () throws(LinuxSystemError) in
            try file.read(into: piece, at: offset, upTo: limit)
        }
    }

    /// Returns when the part is in the kernel's cache, so that sending it from an event loop holds nobody else up.
    /// - Throws: when the file became shorter: its length is announced, so only breaking off tells the truth.
    func fetch(
        _ file: OpenedFile, _ part: Range<Int64>, through scratch: OpenedFile.Piece, as user: UserIdentity
    ) async throws {
        guard !part.isEmpty else { return }
        switch file.file.descriptor.presence(of: part) {
        case .cached: break
        // gVisor reads from its host's cache or its host's disk, and does not tell which.
        case .unknown where MemoryGauge.here == .sandbox: break
        case .notCached, .unknown:
            for offset in stride(from: part.lowerBound, to: part.upperBound, by: OpenedFile.pieceBytes) {
                try await read(file, into: scratch, at: offset, upTo: part.upperBound - offset, as: user)
            }
        }
        guard try file.file.descriptor.status(file.path).st_size >= part.upperBound else {
            throw HTTPServingError(.invalidState, "the file became shorter while it was read")
        }
    }
}
