import Archives
import Glibc
import LinuxSystem

/// Turns a directory into an archive, a piece at a time.
///
///     TreeWalk ─► header ─► content ─► … ─► end
///                              └ deflated: the whole stream for tar.gz, each file for zip
///
/// Files whose size changes meanwhile are cut or filled with zeros: their size was announced. What the user cannot read, and
/// devices, pipes and sockets, are left out and counted.
struct ArchivePacker: ~Copyable {
    /// What a step aims at.
    private static let pieceBytes = 256 << 10
    /// Files with several names that are remembered by inode; of more, the content is stored again.
    private static let maxLinks = 10_000

    private let path: String
    private let format: ArchiveFormat
    private let ignore: GlobSet
    private var walk: TreeWalk?
    private var single: (SharedDescriptor, ArchiveEntry)?
    private var gzip: Deflater?
    private var zip = ZipWriter()
    private var directory = SpillBuffer()
    private var links: [ino_t: [UInt8]] = [:]

    private var file: SharedDescriptor?
    private var left: Int64 = 0
    private var entry: ArchiveEntry?
    private var member: ZipWriter.Member?
    private var deflater: Deflater?
    private var checksum = CRC32()
    private var compressedSize: UInt64 = 0

    private enum Stage { case members, directory, ended }
    private var stage = Stage.members
    private var output: [UInt8] = []
    private var unreadable = 0

    private init(
        _ path: String, _ format: ArchiveFormat, _ ignore: GlobSet, _ walk: consuming TreeWalk?,
        _ single: (SharedDescriptor, ArchiveEntry)?
    ) {
        self.path = path
        self.format = format
        self.ignore = ignore
        self.walk = walk
        self.single = single
        if format == .tarGzip { gzip = Deflater(.gzip) }
    }

    /// - Parameter path: a directory, whose content the archive will have without its name, or a file.
    static func open(
        _ path: String, _ format: ArchiveFormat, ignore: GlobSet
    ) throws(LinuxSystemError) -> ArchivePacker {
        let status = try FileTree.status(path)
        guard !status.isDirectory else { return ArchivePacker(path, format, ignore, try TreeWalk(path), nil) }
        let opened = try OpenedFile(path)
        let entry = ArchiveEntry(
            path: Array(status.name.utf8), kind: .file, mode: status.mode, size: opened.size,
            modified: status.modifiedAt / 1000, uid: status.uid, gid: status.gid)
        return ArchivePacker(path, format, ignore, nil, (opened.file, entry))
    }

    var skipped: Int { mutating get { unreadable + (walk?.skipped ?? 0) } }

    /// - Returns: the next bytes of the archive; nil when it is complete.
    mutating func next() throws(LinuxSystemError) -> [UInt8]? {
        while output.count < Self.pieceBytes, stage != .ended {
            switch stage {
            case .members: if file != nil { try pack() } else { try nextEntry() }
            case .directory:
                let records = try directory.read()
                if records.isEmpty {
                    output += zip.end()
                    stage = .ended
                } else {
                    output += records
                }
            case .ended: break
            }
        }
        defer { output.removeAll(keepingCapacity: true) }
        return output.isEmpty ? nil : output
    }

    private mutating func nextEntry() throws(LinuxSystemError) {
        if let (descriptor, entry) = single {
            single = nil
            return try begin(entry, descriptor)
        }
        guard let step = try walk?.next() else {
            if format == .zip {
                stage = .directory
            } else {
                emit(TarWriter.end)
                gzip?.write([], finishing: true, to: &output)
                stage = .ended
            }
            return
        }
        guard case .entry(let found) = step else { return }
        // Nobody could unpack it, and zip has no room for such a name.
        guard found.path.count < 4096 else {
            unreadable += 1
            walk?.leaveOut()
            return
        }
        if !ignore.isEmpty, ignore.matches(found.text) {
            walk?.leaveOut()
            return
        }
        var entry = ArchiveEntry(
            path: found.path, kind: .file, mode: found.mode, modified: found.info.modifiedSeconds,
            uid: found.info.st_uid, gid: found.info.st_gid)
        switch found.kind {
        case S_IFDIR:
            entry.kind = .directory
            try begin(entry, nil)
        case S_IFLNK:
            guard let target = try? walk?.readLink() else { return }
            entry.kind = .symbolicLink(target: target)
            try begin(entry, nil)
        case S_IFREG:
            if format != .zip, found.info.st_nlink > 1 {
                if let first = links[found.info.st_ino] {
                    entry.kind = .hardLink(target: first)
                    return try begin(entry, nil)
                }
            }
            guard let descriptor = openFile() else {
                unreadable += 1
                return
            }
            if found.info.st_nlink > 1, links.count < Self.maxLinks { links[found.info.st_ino] = found.path }
            entry.size = Int64(found.info.st_size)
            try begin(entry, descriptor)
        default: unreadable += 1
        }
    }

    private mutating func openFile() -> SharedDescriptor? {
        guard let descriptor = try? walk?.openFile() else { return nil }
        return SharedDescriptor(descriptor)
    }

    private mutating func begin(_ entry: ArchiveEntry, _ descriptor: SharedDescriptor?) throws(LinuxSystemError) {
        self.entry = entry
        guard format == .zip else {
            emit(TarWriter.header(entry))
            file = descriptor
            left = entry.size
            return
        }
        checksum = CRC32()
        compressedSize = 0
        let (header, member) = zip.begin(entry, compressed: descriptor != nil)
        output += header
        self.member = member
        if let descriptor {
            deflater = Deflater(.raw)
            file = descriptor
            left = entry.size
            return
        }
        var content: [UInt8] = []
        if case .symbolicLink(let target) = entry.kind { content = target }
        store(content)
        try endMember(size: UInt64(content.count))
    }

    /// A piece of the current file, and what follows it when it was the last.
    private mutating func pack() throws(LinuxSystemError) {
        guard let file, let entry else { return }
        if left > 0 {
            var bytes = (try? file.read(at: entry.size - left, upTo: Int(min(left, 1 << 16)), path)) ?? []
            // Shorter than it was, or broken: what was announced must come all the same.
            if bytes.isEmpty { bytes = [UInt8](repeating: 0, count: Int(min(left, 1 << 16))) }
            left -= Int64(bytes.count)
            if format == .zip { deflate(bytes, finishing: false) } else { emit(bytes) }
            if left > 0 { return }
        }
        self.file = nil
        if format == .zip {
            deflate([], finishing: true)
            deflater = nil
            try endMember(size: UInt64(entry.size))
        } else {
            emit(TarWriter.padding(entry.size))
        }
    }

    private mutating func endMember(size: UInt64) throws(LinuxSystemError) {
        guard let member else { return }
        let (descriptor, record) = zip.end(
            member, size: size, compressedSize: compressedSize, checksum: checksum.value)
        output += descriptor
        try directory.append(record)
    }

    private mutating func emit(_ bytes: [UInt8]) {
        guard format == .tarGzip else {
            output += bytes
            return
        }
        gzip?.write(bytes[...], to: &output)
    }

    private mutating func deflate(_ bytes: [UInt8], finishing: Bool) {
        checksum.update(bytes[...])
        let before = output.count
        deflater?.write(bytes[...], finishing: finishing, to: &output)
        count(output.count - before)
    }

    private mutating func store(_ bytes: [UInt8]) {
        checksum.update(bytes[...])
        output += bytes
        count(bytes.count)
    }

    private mutating func count(_ bytes: Int) {
        compressedSize += UInt64(bytes)
        zip.count(bytes)
    }
}
