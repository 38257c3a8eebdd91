import Archives
import ComputeCore
import LinuxSystem

/// Unpacks a zip archive, whose directory stands at its end: first all of it goes into a nameless file, then members are
/// taken out one after the other.
struct ZipUnpacker: ~Copyable {
    private var target: UnpackTarget
    private let spool: SharedDescriptor
    private let path: String
    private var size: Int64 = 0

    /// What of the directory has not been read, and what was read and not used.
    private var directory: Range<Int64>?
    private var pending: ArraySlice<UInt8> = []

    fileprivate struct Content: ~Copyable {
        let record: ZipRecord
        let link: TreePath?
        var inflater: Inflater?
        var range: Range<Int64>
        var input: ArraySlice<UInt8> = []
        var checksum = CRC32()
        var size: Int64 = 0
        var text: [UInt8] = []
    }
    private var content: Content?

    /// - Parameter spool: an empty file.
    init(_ target: consuming UnpackTarget, spool: SharedDescriptor, _ path: String) {
        self.target = target
        self.spool = spool
        self.path = path
    }

    /// The next bytes of the archive.
    mutating func take(_ bytes: [UInt8]) throws(Problem) {
        do throws(LinuxSystemError) { try spool.append(bytes, path) } catch {
            throw FileService.problem(error, path, field: "archive")
        }
        size += Int64(bytes.count)
    }

    /// After the last byte: does a piece of the work.
    /// - Returns: false when all is there, and on disk.
    mutating func step() throws(Problem) -> Bool {
        if directory == nil { try findDirectory() }
        // So much expanded at most, so that the thread is free again soon.
        for _ in 0..<16 {
            if content != nil {
                try unpack()
            } else if try !nextMember() {
                try target.finish()
                return false
            }
        }
        return true
    }

    var outcome: UnpackOutcome { target.outcome }

    private func read(_ range: Range<Int64>) throws(Problem) -> [UInt8] {
        guard range.lowerBound >= 0, range.upperBound <= size else {
            throw UnpackTarget.problem(ArchiveError(.truncated, "the zip archive points beyond its end"))
        }
        do throws(LinuxSystemError) {
            return range.isEmpty ? [] : try spool.read(at: range.lowerBound, upTo: range.count, path)
        } catch { throw FileService.problem(error, path, field: "archive") }
    }

    private mutating func findDirectory() throws(Problem) {
        let tail = try read(max(size - Int64(ZipEnd.maxBytes + ZipEnd.locatorBytes), 0)..<size)
        var end = try Self.translating { () throws(ArchiveError) in try ZipEnd(tail: tail[...]) }
        if let offset = end.zip64Offset {
            guard offset < UInt64(size) else {
                throw UnpackTarget.problem(ArchiveError(.malformed, "the zip archive points beyond its end"))
            }
            let record = try read(Int64(offset)..<min(Int64(offset) + 56, size))
            end = try Self.translating { () throws(ArchiveError) in try ZipEnd(zip64: record[...]) }
        }
        let (sum, isTooLarge) = end.directoryOffset.addingReportingOverflow(end.directoryBytes)
        guard !isTooLarge, sum <= UInt64(size) else {
            throw UnpackTarget.problem(ArchiveError(.malformed, "the zip archive points beyond its end"))
        }
        directory = Int64(end.directoryOffset)..<Int64(sum)
    }

    /// - Returns: false when there is none.
    private mutating func nextMember() throws(Problem) -> Bool {
        while true {
            var rest = pending
            let record = try Self.translating { () throws(ArchiveError) in try ZipRecord.next(&rest) }
            if let record {
                pending = rest
                try begin(record)
                return true
            }
            guard let left = directory, !left.isEmpty, pending.count < ZipRecord.maxBytes else {
                guard pending.isEmpty else {
                    throw UnpackTarget.problem(ArchiveError(.malformed, "the zip archive has a broken directory"))
                }
                return false
            }
            let piece = try read(left.lowerBound..<min(left.lowerBound + 1 << 16, left.upperBound))
            pending += piece
            directory = (left.lowerBound + Int64(piece.count))..<left.upperBound
        }
    }

    private mutating func begin(_ record: ZipRecord) throws(Problem) {
        var link: TreePath?
        if case .symbolicLink = record.entry.kind {
            link = try target.announce(record.entry)
        } else {
            try target.begin(record.entry)
            if record.entry.kind != .file { return }
        }
        guard record.headerOffset < UInt64(size) else {
            throw UnpackTarget.problem(
                ArchiveError(.malformed, "the zip archive points beyond its end", entry: record.entry.text))
        }
        let start = Int64(record.headerOffset)
        let header = try read(start..<min(start + Int64(ZipRecord.localHeaderBytes), size))
        let offset = try Self.translating { () throws(ArchiveError) in
            try ZipRecord.contentOffset(localHeader: header[...])
        }
        let begin = start + Int64(offset)
        guard begin <= size, record.compressedSize <= UInt64(size - begin) else {
            throw UnpackTarget.problem(
                ArchiveError(.truncated, "its content is not all there", entry: record.entry.text))
        }
        content = Content(
            record: record, link: link, inflater: record.method == .deflated ? Inflater(.raw) : nil,
            range: begin..<begin + Int64(record.compressedSize))
    }

    /// A piece of the current member.
    private mutating func unpack() throws(Problem) {
        guard let record = content?.record else { return }
        if content?.input.isEmpty ?? true, let range = content?.range, !range.isEmpty {
            let piece = try read(range.lowerBound..<min(range.lowerBound + 1 << 16, range.upperBound))
            guard !piece.isEmpty else {
                throw UnpackTarget.problem(
                    ArchiveError(.truncated, "its content is not all there", entry: record.entry.text))
            }
            content?.range = (range.lowerBound + Int64(piece.count))..<range.upperBound
            content?.input = piece[...]
        }
        let piece: [UInt8]?
        do throws(ArchiveError) { piece = try content?.expand() } catch {
            throw UnpackTarget.problem(ArchiveError(error.code, error.message, entry: record.entry.text))
        }
        if let piece {
            content?.checksum.update(piece[...])
            content?.size += Int64(piece.count)
            guard content?.link != nil else { return try target.write(piece[...]) }
            content?.text += piece
            guard content?.text.count ?? 0 < 4096 else { throw target.refused("it is no valid link") }
            return
        }
        if content?.isWaiting ?? false { return }
        try end(record)
    }

    private mutating func end(_ record: ZipRecord) throws(Problem) {
        guard content?.checksum.value == record.checksum, content?.size == record.entry.size else {
            throw UnpackTarget.problem(
                ArchiveError(.malformed, "its content does not fit its checksum or size", entry: record.entry.text))
        }
        let link = content?.link
        let text = content?.text ?? []
        content = nil
        if let link { try target.link(link, text) } else { try target.end() }
    }

    private static func translating<T>(_ work: () throws(ArchiveError) -> T) throws(Problem) -> T {
        do throws(ArchiveError) { return try work() } catch { throw UnpackTarget.problem(error) }
    }
}

extension ZipUnpacker.Content {
    /// More of the archive is there to be read.
    var isWaiting: Bool {
        mutating get {
            let hasEnded = inflater?.hasEnded ?? false
            return !hasEnded && !range.isEmpty
        }
    }

    mutating func expand() throws(ArchiveError) -> [UInt8]? {
        guard inflater != nil else {
            guard !input.isEmpty else { return nil }
            defer { input = [] }
            return Array(input)
        }
        return try inflater?.next(&input)
    }
}
