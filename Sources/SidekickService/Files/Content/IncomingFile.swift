import ComputeCore
import Crypto
import LinuxSystem
import NIOCore
import Synchronization

/// A file whose content arrives in pieces: what is there of it lies beside its place, and its digest runs along.
final class IncomingFile: Sendable {
    private struct State: ~Copyable {
        var file: PendingFile?
        var digest = SHA256()
        var size: Int64 = 0
    }

    let path: String
    private let state: Mutex<State>

    init(_ path: String, mode: UInt32?) throws(LinuxSystemError) {
        self.path = path
        state = Mutex(State(file: try PendingFile(path, mode: mode)))
    }

    var size: Int64 { state.withLock { $0.size } }

    /// Appends if the file ends at `offset`, so that of two writers one gets on.
    /// - Returns: false when it ends elsewhere.
    func write(_ bytes: ByteBuffer, at offset: Int64) throws(LinuxSystemError) -> Bool {
        try state.withLock { state -> Result<Bool, LinuxSystemError> in
            guard state.size == offset, state.file != nil else { return .success(false) }
            return bytes.withUnsafeReadableBytes { raw -> Result<Bool, LinuxSystemError> in
                do throws(LinuxSystemError) {
                    try state.file?.write(raw)
                } catch { return .failure(error) }
                state.digest.update(bufferPointer: raw)
                state.size += Int64(raw.count)
                return .success(true)
            }
        }.get()
    }

    func sync() throws(LinuxSystemError) {
        try state.withLock { state -> Result<Void, LinuxSystemError> in
            do throws(LinuxSystemError) { return .success(try state.file?.sync() ?? ()) } catch {
                return .failure(error)
            }
        }.get()
    }

    enum Completion: Sendable {
        case done(FileTree.Entry, sha256: String, isNew: Bool)
        /// It is not what was announced; nothing has changed.
        case otherDigest(String)
        /// Somebody else has ended it.
        case gone
    }

    func complete(expecting sha256: String?, replacing: Bool) throws(LinuxSystemError) -> Completion {
        try state.withLock { state -> Result<Completion, LinuxSystemError> in
            guard state.file != nil else { return .success(.gone) }
            let found = state.digest.finalize().hexadecimal
            guard sha256 == nil || sha256 == found else { return .success(.otherDigest(found)) }
            do throws(LinuxSystemError) {
                let isNew = state.file?.isNew ?? false
                guard let entry = try state.file?.commit(replacing: replacing) else { return .success(.gone) }
                state.file = nil
                return .success(.done(entry, sha256: found, isNew: isNew))
            } catch { return .failure(error) }
        }.get()
    }

    /// Nothing is left of it. One small call, which any thread may make.
    func discard() { state.withLock { $0.file = nil } }
}

extension Sequence where Element == UInt8 {
    var hexadecimal: String {
        map { byte in
            let digits = String(byte, radix: 16)
            return byte < 16 ? "0" + digits : digits
        }.joined()
    }
}
