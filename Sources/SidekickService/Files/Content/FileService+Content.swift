import ComputeCore
import Crypto
import LinuxSystem
import NIOCore

enum FileDigest {
    static let header = "X-Content-SHA256"

    /// 64 hexadecimal digits, lower-cased.
    static func expected(_ text: String?, field: String) throws(Problem) -> String? {
        guard let text = text?.lowercased() else { return nil }
        guard text.utf8.count == 64, text.allSatisfy({ $0.isASCII && $0.isHexDigit }) else {
            throw .invalid(field, "\(field) must be the 64 hexadecimal digits of a SHA-256")
        }
        return text
    }
}

enum FileMode {
    /// Octal, such as `644` or `0755`.
    static func parse(_ text: String, field: String = "mode") throws(Problem) -> UInt32 {
        guard (1...5).contains(text.utf8.count), let mode = UInt32(text, radix: 8), mode <= 0o7777, text.first != "+"
        else { throw .invalid(field, "\(field) must be an octal number such as \"644\", of at most 7777") }
        return mode
    }
}

extension FileService {
    /// - Throws: when it could not be put there in the end either.
    func begin(
        _ path: String, mode: UInt32?, isKept: Bool = false, as user: UserIdentity
    ) async throws -> IncomingFile {
        try await perform(path, user) { () throws(LinuxSystemError) in
            try IncomingFile(path, mode: mode, isKept: isKept)
        }
    }

    func append(_ piece: BodyPiece, to file: IncomingFile, at offset: Int64, as user: UserIdentity) async throws {
        let isWritten = try await perform(file.path, user) { () throws(LinuxSystemError) in
            try file.write(piece, at: offset)
        }
        guard isWritten else {
            throw Problem(
                status: 409, code: .conflict, message: "somebody else has gone on with this upload",
                field: "Upload-Offset")
        }
    }

    /// - Returns: when it is on disk, in its place.
    func complete(
        _ file: IncomingFile, expecting sha256: String?, replacing: Bool, as user: UserIdentity
    ) async throws -> (FileTree.Entry, sha256: String, isNew: Bool) {
        // What an earlier process wrote.
        while try await perform(file.path, user, { () throws(LinuxSystemError) in try file.digestMore() }) {}
        let completion = try await locks.holding([file.path]) {
            try await perform(file.path, user) { () throws(LinuxSystemError) in
                try file.complete(expecting: sha256, replacing: replacing)
            }
        }
        switch completion {
        case .done(let entry, let sha256, let isNew): return (entry, sha256, isNew)
        case .otherDigest(let found):
            throw Problem(
                status: 400, code: "digest_mismatch",
                message: "the content has the SHA-256 \(found), not the announced one; nothing was changed",
                field: "sha256")
        case .gone: throw Problem(status: 409, code: .conflict, message: "the upload has ended meanwhile")
        }
    }

    /// The SHA-256 of all of it, read once.
    func digest(_ file: OpenedFile, as user: UserIdentity) async throws -> String {
        var digest = SHA256()
        var offset: Int64 = 0
        let piece = OpenedFile.Piece()
        while offset < file.size {
            try await read(file, into: piece, at: offset, upTo: file.size - offset, as: user)
            let bytes = piece.bytes
            guard bytes.readableBytes > 0 else { break }
            bytes.withUnsafeReadableBytes { digest.update(bufferPointer: $0) }
            offset += Int64(bytes.readableBytes)
        }
        return digest.finalize().hex
    }
}
