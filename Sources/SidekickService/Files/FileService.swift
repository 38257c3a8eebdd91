package import ComputeCore
import Glibc
package import LinuxSystem

/// File operations with the rights of the user who asks.
package final class FileService: Sendable {
    /// What one answer holds in memory. Larger files go through `/files/content`.
    static let maxFileBytes = 16 << 20
    static let maxEntries = 50_000

    private let threads: UserThreads

    package init(threads: UserThreads) { self.threads = threads }

    func list(_ path: FilePath, as user: UserIdentity) async throws -> (path: String, entries: [FileTree.Entry]) {
        try await withFallback(path, user) { path throws(LinuxSystemError) in
            (path, try FileTree.list(path, limit: Self.maxEntries))
        }
    }

    func status(_ path: FilePath, as user: UserIdentity) async throws -> FileTree.Entry {
        try await withFallback(path, user) { path throws(LinuxSystemError) in try FileTree.status(path) }
    }

    func read(_ path: FilePath, as user: UserIdentity) async throws -> (FileTree.Entry, [UInt8]) {
        try await withFallback(path, user) { path throws(LinuxSystemError) in
            try FileTree.read(path, limit: Self.maxFileBytes)
        }
    }

    func write(_ path: FilePath, _ bytes: [UInt8], as user: UserIdentity) async throws -> FileTree.Entry {
        try await perform(path.absolute, user) { () throws(LinuxSystemError) in
            try Self.borrow(bytes) { buffer throws(LinuxSystemError) in try FileTree.write(path.absolute, buffer) }
        }
    }

    func remove(_ path: FilePath, as user: UserIdentity) async throws {
        try await withFallback(path, user) { path throws(LinuxSystemError) in try FileTree.remove(path) }
    }

    /// A relative path that leads nowhere may have lost its leading slash on the way (see `FilePath`).
    func withFallback<T: Sendable>(
        _ path: FilePath, _ user: UserIdentity,
        _ operation: @escaping @Sendable (String) throws(LinuxSystemError) -> T
    ) async throws -> T {
        try await perform(path.absolute, user) { () throws(LinuxSystemError) in
            do throws(LinuxSystemError) {
                return try operation(path.absolute)
            } catch  where error.code == .notFound || error.code == .notDirectory {
                guard let legacy = path.legacy, legacy != path.absolute, (try? FileTree.status(legacy)) != nil else {
                    throw error
                }
                return try operation(legacy)
            }
        }
    }

    /// - Parameter path: what an error says it was about.
    func perform<T: Sendable>(
        _ path: String, _ user: UserIdentity, _ operation: @escaping @Sendable () throws(LinuxSystemError) -> T
    ) async throws -> T {
        do {
            return try await threads.run(as: user) { try operation() }
        } catch let error as LinuxSystemError {
            throw Self.problem(error, path)
        }
    }

    private static func borrow<T>(
        _ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws(LinuxSystemError) -> T
    ) throws(LinuxSystemError) -> T {
        try bytes.withUnsafeBytes { (buffer) -> Result<T, LinuxSystemError> in
            do throws(LinuxSystemError) { return .success(try body(buffer)) } catch { return .failure(error) }
        }.get()
    }

    /// The table from errno to HTTP. `path` is as the client may see it: absolute, inside its own compute.
    package static func problem(_ error: LinuxSystemError, _ path: String) -> Problem {
        switch error.code.errno {
        case ENOENT: Problem(status: 404, code: .notFound, message: "there is no \(path)", field: "path")
        case EACCES, EPERM, EROFS:
            Problem(status: 403, code: .forbidden, message: "the user may not do this to \(path)", field: "path")
        case EISDIR:
            Problem(status: 409, code: .conflict, message: "\(path) is a directory, not a file", field: "path")
        case ENOTDIR: .invalid("path", "a part of \(path) is not a directory")
        case ELOOP: .invalid("path", "\(path) goes through too many links")
        case ENAMETOOLONG: .invalid("path", "path is too long")
        case ENODEV, ENXIO: .invalid("path", "\(path) is a device, pipe or socket, not a file")
        case EFBIG:
            Problem(status: 413, code: .tooLarge, message: "\(path) is too large; use /files/content", field: "path")
        case ENOSPC, EDQUOT:
            Problem(status: 507, code: .diskFull, message: "the disk is full: \(path) was not written", field: "path")
        case EXDEV, EBUSY:
            Problem(
                status: 409, code: .conflict, message: "\(path) has another file system mounted in it", field: "path")
        case ESTALE, ENOTEMPTY:
            Problem(status: 409, code: .conflict, message: "\(path) was changed meanwhile", field: "path")
        default:
            Problem(
                status: 500, code: .internalError, message: "\(path): \(error.step) failed: \(error.reason)",
                field: "path")
        }
    }
}
