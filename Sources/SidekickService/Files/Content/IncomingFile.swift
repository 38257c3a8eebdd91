import ComputeCore
import Crypto
import LinuxSystem
import NIOCore
import Synchronization

/// A file whose content arrives in pieces: what is there of it lies beside its place, and its digest runs along. Shell of
/// `PendingFile`.
final class IncomingFile: Sendable {
    private struct State: ~Copyable {
        var file: PendingFile?
        var digest = SHA256()
        /// How much of the file is in the digest: all of it, unless an earlier process wrote it.
        var digested: Int64 = 0
        var size: Int64
    }

    let place: PendingFile.Place
    private let state: Mutex<State>

    var path: String { place.path }

    /// - Parameter isKept: what came of it outlives this process.
    init(_ path: String, mode: UInt32?, isKept: Bool = false) throws(LinuxSystemError) {
        var file = try PendingFile(path, mode: mode)
        file.isKept = isKept
        place = file.place
        state = Mutex(State(file: file, size: 0))
    }

    /// Goes on with one that was kept.
    init(resuming place: PendingFile.Place) throws(LinuxSystemError) {
        let file = try PendingFile(resuming: place)
        self.place = place
        let size = file.size
        state = Mutex(State(file: file, size: size))
    }

    var size: Int64 { state.withLock { $0.size } }

    /// Appends if the file ends at `offset`, so that of two writers one gets on.
    /// - Returns: false when it ends elsewhere.
    func write(_ piece: BodyPiece, at offset: Int64) throws(LinuxSystemError) -> Bool {
        try state.withLock { state -> Result<Bool, LinuxSystemError> in
            guard state.size == offset, state.file != nil else { return .success(false) }
            for part in piece.parts {
                let failure = part.withUnsafeReadableBytes { raw -> LinuxSystemError? in
                    do throws(LinuxSystemError) {
                        try state.file?.write(raw)
                    } catch { return error }
                    if state.digested == state.size {
                        state.digest.update(bufferPointer: raw)
                        state.digested += Int64(raw.count)
                    }
                    state.size += Int64(raw.count)
                    return nil
                }
                if let failure { return .failure(failure) }
            }
            return .success(true)
        }.get()
    }

    /// Reads a piece of what is not in the digest yet.
    /// - Returns: false when all of it is; from then on it stays so.
    func digestMore() throws(LinuxSystemError) -> Bool {
        try state.withLock { state -> Result<Bool, LinuxSystemError> in
            guard state.digested < state.size, state.file != nil else { return .success(false) }
            do throws(LinuxSystemError) {
                let limit = Int(min(state.size - state.digested, 1 << 20))
                let piece = try state.file?.read(at: state.digested, upTo: limit) ?? []
                guard !piece.isEmpty else { throw LinuxSystemError(.changedMeanwhile, "read", path) }
                state.digest.update(data: piece)
                state.digested += Int64(piece.count)
                return .success(true)
            } catch { return .failure(error) }
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
            precondition(state.digested == state.size, "completed before digestMore() was done")
            let found = state.digest.finalize().hex
            guard sha256 == nil || sha256 == found else { return .success(.otherDigest(found)) }
            do throws(LinuxSystemError) {
                guard let entry = try state.file?.commit(replacing: replacing) else { return .success(.gone) }
                state.file = nil
                return .success(.done(entry, sha256: found, isNew: place.isNew))
            } catch { return .failure(error) }
        }.get()
    }

    /// Nothing is left of it. One small call, which any thread may make.
    func discard() {
        state.withLock { state in
            state.file?.isKept = false
            state.file = nil
        }
    }
}
