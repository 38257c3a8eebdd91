import ComputeCore
import LinuxSystem

/// Variables in files such as `.env`, with the rights of the user. Changes of one file come one after the other, or the
/// later of two would undo the earlier.
package final class EnvFileService: Sendable {
    static let maxFileBytes = 1 << 20

    private let threads: UserThreads
    private let turns = Turns()

    package init(threads: UserThreads) { self.threads = threads }

    /// - Throws: a 404 when there is no such file.
    package func variables(_ path: FilePath, as user: UserIdentity) async throws -> [String: String] {
        try await run(path, user) { () throws(LinuxSystemError) in
            DotEnv(try FileTree.read(path.absolute, limit: Self.maxFileBytes).1).variables
        }
    }

    package func exists(_ path: FilePath, as user: UserIdentity) async throws {
        _ = try await run(path, user) { () throws(LinuxSystemError) in try FileTree.status(path.absolute) }
    }

    /// Sets some variables and leaves the others; a missing file is made. On the disk when it returns.
    package func merge(_ variables: [String: String], into path: FilePath, as user: UserIdentity) async throws {
        try await change(path, user, isMade: true) { file in file.set(variables) }
    }

    /// - Returns: those of the names that were there.
    package func remove(_ names: [String], from path: FilePath, as user: UserIdentity) async throws -> [String] {
        try await change(path, user, isMade: false) { file in file.remove(names) }
    }

    private func change<T: Sendable>(
        _ path: FilePath, _ user: UserIdentity, isMade: Bool, _ body: @escaping @Sendable (inout DotEnv) -> T
    ) async throws -> T {
        try await turns.take()
        defer { turns.giveBack() }
        return try await run(path, user) { () throws(LinuxSystemError) in
            var bytes: [UInt8] = []
            var isNew = false
            do throws(LinuxSystemError) {
                bytes = try FileTree.read(path.absolute, limit: Self.maxFileBytes).1
            } catch  where error.code == .notFound && isMade {
                isNew = true
            }
            var file = DotEnv(bytes)
            let result = body(&file)
            let changed = file.bytes
            guard isNew || changed != bytes else { return result }
            guard changed.count <= Self.maxFileBytes else { throw LinuxSystemError(.tooLarge, "write", path.absolute) }
            try changed.withUnsafeBytes { (buffer) -> Result<Void, LinuxSystemError> in
                do throws(LinuxSystemError) {
                    // Secrets are what such files are for.
                    _ = try FileTree.write(path.absolute, buffer, newFileMode: 0o600)
                    return .success(())
                } catch {
                    return .failure(error)
                }
            }.get()
            return result
        }
    }

    private func run<T: Sendable>(
        _ path: FilePath, _ user: UserIdentity, _ work: @escaping @Sendable () throws(LinuxSystemError) -> T
    ) async throws -> T {
        do {
            return try await threads.run(as: user) { try work() }
        } catch let error as LinuxSystemError {
            var problem = FileService.problem(error, path.absolute)
            problem.field = "file"
            throw problem
        }
    }
}
