import ComputeCore
import HTTPServing
import LinuxSystem
import NIOCore
import Synchronization

/// Uploads that survive their connection, and the Sidekick's process. What was acknowledged of one is on disk; its offset is how
/// much that is.
///
///     begin ─► append … append ─► complete ─► in its place
///                 │ connection breaks: what came is kept, the client asks for the offset and goes on
///                 │ the Sidekick starts again: the same, by the record
///                 └ nothing for an hour: gone
final class UploadService: Sendable {
    private struct State {
        var table = UploadTable()
        var isSweeping = false
    }

    private let files: FileService
    private let records: UploadRecords
    private let state = Mutex(State())

    init(files: FileService, stateDirectory: String) {
        self.files = files
        records = UploadRecords(stateDirectory: stateDirectory)
    }

    /// Takes up what an earlier process left. A partial file that is not where it was is given up.
    func resume() async {
        do {
            for record in try await files.threads.run(as: nil, { [records] in try records.load() }) {
                do {
                    let file = try await files.perform(record.place.path, record.user) { () throws(LinuxSystemError) in
                        try IncomingFile(resuming: record.place)
                    }
                    try add(UploadTable.Upload(record: record, file: file))
                } catch {
                    records.remove(record.id)
                    SidekickLog.write(.warning, "an upload was lost", ["reason": "\(error)"])
                }
            }
        } catch {
            SidekickLog.write(.error, "the uploads of an earlier process cannot be read", ["reason": "\(error)"])
        }
    }

    func begin(
        _ path: String, size: Int64?, sha256: String?, mode: UInt32?, replacing: Bool, as user: UserIdentity
    ) async throws -> UploadTable.Upload {
        sweep()
        let file = try await files.begin(path, mode: mode, isKept: true, as: user)
        let id = (0..<16).map { _ in UInt8.random(in: 0 ... .max) }.hex
        let record = UploadRecord(
            id: id, user: user, place: file.place, size: size, sha256: sha256, replacing: replacing)
        let upload = UploadTable.Upload(record: record, file: file)
        do {
            try add(upload)
            try await files.threads.run(as: nil) { [records] in try records.save(record) }
        } catch {
            abort(upload)
            throw error
        }
        return upload
    }

    private func add(_ upload: UploadTable.Upload) throws(Problem) {
        try state.withLock { (state) throws(Problem) in try state.table.add(upload, now: .now) }
        startSweeping()
    }

    func find(_ id: String, as user: UserIdentity) -> UploadTable.Upload? {
        state.withLock { $0.table.use(id, by: user, now: .now) }
    }

    /// What is there of it, on disk.
    func offset(of upload: UploadTable.Upload) async throws -> Int64 {
        let size = upload.file.size
        try await files.perform(upload.file.path, upload.user) { () throws(LinuxSystemError) in
            try upload.file.sync()
        }
        return size
    }

    /// - Returns: the new offset, when everything before it is on disk.
    func append(_ body: HTTPBody, at offset: Int64, to upload: UploadTable.Upload) async throws -> Int64 {
        let next = Mutex(offset)
        do {
            try await BodyPieces(body: body).forEach { [files] piece in
                let at = next.withLock { $0 }
                if let size = upload.size, at + Int64(piece.count) > size {
                    throw Problem(
                        status: 413, code: .tooLarge, message: "more bytes came than the \(size) that were announced",
                        field: "size")
                }
                // On even when the client has gone: it will ask how far it had got.
                try await Task { try await files.append(piece, to: upload.file, at: at, as: upload.user) }.value
                next.withLock { $0 += Int64(piece.count) }
                _ = self.find(upload.id, as: upload.user)
            }
        } catch {
            _ = try? await Task { try await self.offset(of: upload) }.value
            throw error
        }
        return try await self.offset(of: upload)
    }

    func complete(
        _ upload: UploadTable.Upload, expecting sha256: String?
    ) async throws -> (FileTree.Entry, sha256: String, isNew: Bool) {
        if let size = upload.size, upload.file.size < size {
            throw Problem(
                status: 409, code: .conflict,
                message: "\(upload.file.size) of \(size) bytes are there", field: "Upload-Offset")
        }
        do {
            let completed = try await files.complete(
                upload.file, expecting: sha256 ?? upload.record.sha256, replacing: upload.record.replacing,
                as: upload.user)
            forget(upload)
            return completed
        } catch let problem as Problem where problem.code == "digest_mismatch" && sha256 == nil {
            // Nothing that could still come would make it right. A digest that was said just now may itself be wrong.
            abort(upload)
            throw problem
        }
    }

    func abort(_ upload: UploadTable.Upload) {
        // The file first: a record without one is forgotten at the next start, a file without a record would lie there for ever.
        upload.file.discard()
        forget(upload)
    }

    private func forget(_ upload: UploadTable.Upload) {
        state.withLock { $0.table.remove(upload.id) }
        records.remove(upload.id)
    }

    private func sweep() {
        for upload in state.withLock({ $0.table.expire(now: .now) }) { abort(upload) }
    }

    /// One task while there are uploads; it ends with the last of them.
    private func startSweeping() {
        let isNeeded = state.withLock { state in
            guard !state.isSweeping else { return false }
            state.isSweeping = true
            return true
        }
        guard isNeeded else { return }
        Task.detached { [weak self] in
            while let next = self?.nextSweep() {
                try? await Task.sleep(until: next, clock: .continuous)
                self?.sweep()
            }
        }
    }

    private func nextSweep() -> ContinuousClock.Instant? {
        state.withLock { state in
            let next = state.table.nextExpiry
            state.isSweeping = next != nil
            return next
        }
    }
}
