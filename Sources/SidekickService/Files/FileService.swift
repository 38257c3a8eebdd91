import ComputeCore
import LinuxSystem

/// File operations with the rights of the user who asks.
package final class FileService: Sendable {
    /// What one answer holds in memory. Larger files go through `/files/content`.
    static let maxFileBytes = 16 << 20
    static let maxEntries = 50_000

    let threads: UserThreads
    let locks = PathLocks()

    package init(threads: UserThreads) { self.threads = threads }

    func list(_ path: FilePath, as user: UserIdentity) async throws -> (path: String, entries: [FileTree.Entry]) {
        try await withFallback(path, user) { path throws(LinuxSystemError) in
            (path, try FileTree.list(path, limit: Self.maxEntries))
        }
    }

    /// - Parameter follow: false tells about a link itself.
    func status(_ path: FilePath, follow: Bool = true, as user: UserIdentity) async throws -> FileTree.Entry {
        try await withFallback(path, user) { path throws(LinuxSystemError) in
            try FileTree.status(path, follow: follow)
        }
    }

    func read(_ path: FilePath, as user: UserIdentity) async throws -> (FileTree.Entry, [UInt8]) {
        try await withFallback(path, user) { path throws(LinuxSystemError) in
            try FileTree.read(path, limit: Self.maxFileBytes)
        }
    }

    func write(_ path: FilePath, _ bytes: [UInt8], as user: UserIdentity) async throws -> FileTree.Entry {
        try await locks.holding([path.absolute]) { try await writeUnlocked(path, bytes, as: user) }
    }

    func writeUnlocked(_ path: FilePath, _ bytes: [UInt8], as user: UserIdentity) async throws -> FileTree.Entry {
        try await perform(path.absolute, user) { () throws(LinuxSystemError) in
            try Self.borrow(bytes) { buffer throws(LinuxSystemError) in try FileTree.write(path.absolute, buffer) }
        }
    }

    func remove(_ path: FilePath, as user: UserIdentity) async throws {
        try await locks.holding([path.absolute]) {
            try await withFallback(path, user) { path throws(LinuxSystemError) in try FileTree.remove(path) }
        }
    }

    /// What a JSON field names is meant as it is written; no other reading of the path is tried.
    func removeUnlocked(_ path: FilePath, as user: UserIdentity) async throws {
        try await perform(path.absolute, user) { () throws(LinuxSystemError) in try FileTree.remove(path.absolute) }
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

    static func borrow<T>(
        _ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws(LinuxSystemError) -> T
    ) throws(LinuxSystemError) -> T {
        try bytes.withUnsafeBytes { (buffer) -> Result<T, LinuxSystemError> in
            do throws(LinuxSystemError) { return .success(try body(buffer)) } catch { return .failure(error) }
        }.get()
    }
}
