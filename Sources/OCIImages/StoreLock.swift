import Foundation
import Glibc

extension ImageStore {
    /// Runs `body` while this process holds the lock of this name; other tasks and processes wait until their turn, or
    /// until their task is cancelled. The kernel frees it with the process, so a crash leaves none.
    func locked<Value: Sendable>(
        _ name: String, while body: () async throws(ImageError) -> Value
    ) async throws(ImageError) -> Value {
        try await locked(anyOf: [name], while: body)
    }

    /// The same with the first of these locks that is free.
    func locked<Value: Sendable>(
        anyOf names: [String], while body: () async throws(ImageError) -> Value
    ) async throws(ImageError) -> Value {
        var lock = try names.firstHeld(self)
        while lock == nil {
            // The kernel tells nobody that a lock is free without a thread that waits for it; what is waited for here
            // takes seconds at least.
            do { try await Task.sleep(for: .milliseconds(100)) } catch {
                throw ImageError(.cancelled, "waiting for another process to finish an image was given up")
            }
            lock = try names.firstHeld(self)
        }
        defer { if let lock { close(lock) } }
        return try await body()
    }

    /// - Returns: an open file that holds the lock; nil while somebody else does.
    func tryLock(_ name: String) throws(ImageError) -> Int32? {
        try makeFolder("\(folder)/locks")
        let file = open("\(folder)/locks/\(name)", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else {
            throw ImageError(.cannotRun, "cannot make a lock file in \(folder)", cause: lastError())
        }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            close(file)
            return nil
        }
        return file
    }

    /// Only root looks inside: images hold setuid programs.
    func makeFolder(_ path: String) throws(ImageError) {
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch { throw ImageError(.cannotRun, "cannot make the folder \(path)", cause: lastError()) }
    }
}

extension [String] {
    fileprivate func firstHeld(_ store: ImageStore) throws(ImageError) -> Int32? {
        for name in self {
            if let lock = try store.tryLock(name) { return lock }
        }
        return nil
    }
}

func lastError() -> String { String(cString: strerror(errno)) }
