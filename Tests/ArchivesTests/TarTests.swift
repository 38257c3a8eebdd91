import Archives
import Testing

struct TarTests {
    static func archive(_ members: [(ArchiveEntry, [UInt8])]) -> [UInt8] {
        members.flatMap { entry, content in
            TarWriter.header(entry) + content + TarWriter.padding(Int64(content.count))
        } + TarWriter.end
    }

    /// What a reader makes of bytes that come in pieces.
    static func read(_ bytes: [UInt8], piece: Int = .max) throws -> [(ArchiveEntry, [UInt8])] {
        var reader = TarReader()
        var members: [(ArchiveEntry, [UInt8])] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            var input = rest.prefix(piece)
            rest = rest.dropFirst(piece)
            while let event = try reader.next(&input) {
                switch event {
                case .entry(let entry): members.append((entry, []))
                case .content(let bytes): members[members.count - 1].1 += bytes
                case .entryEnded, .ended: break
                }
            }
            #expect(input.isEmpty)
        }
        try reader.finish()
        return members
    }

    static let members: [(ArchiveEntry, [UInt8])] = [
        (ArchiveEntry(path: Array("dir".utf8), kind: .directory, mode: 0o750, modified: 1_700_000_000), []),
        (ArchiveEntry(path: Array("dir/a".utf8), kind: .file, mode: 0o644, size: 3, uid: 1000, gid: 7), [1, 2, 3]),
        (ArchiveEntry(path: Array("dir/empty".utf8), kind: .file, mode: 0o4755), []),
        (ArchiveEntry(path: Array("héllo".utf8), kind: .symbolicLink(target: Array("../ü".utf8)), mode: 0o777), []),
        (ArchiveEntry(path: Array("hard".utf8), kind: .hardLink(target: Array("dir/a".utf8)), mode: 0o644), []),
        (
            ArchiveEntry(
                path: Array(String(repeating: "long/", count: 100).utf8) + [0xff, 0x41], kind: .file, mode: 0o600,
                size: 513, modified: -5, uid: 9_999_999),
            Array(repeating: 7, count: 513)
        ),
        (
            ArchiveEntry(
                path: Array("l".utf8), kind: .symbolicLink(target: Array(String(repeating: "t", count: 300).utf8)),
                mode: 0o777), []
        ),
    ]

    @Test(arguments: [1, 7, 511, 512, 513, Int.max]) func whatIsWrittenIsReadBackHoweverItIsSplit(_ piece: Int) throws {
        let read = try Self.read(Self.archive(Self.members), piece: piece)
        #expect(read.count == Self.members.count)
        for (found, written) in zip(read, Self.members) {
            var expected = written.0
            if expected.kind == .directory { expected.path.append(UInt8(ascii: "/")) }
            // Numbers that fit nowhere else are kept in records that only sizes and times are read from.
            if expected.uid > 2_097_151 { expected.uid = found.0.uid }
            #expect(found.0 == expected)
            #expect(found.1 == written.1)
        }
    }

    /// In vain they would otherwise be gathered for members that never come.
    @Test func recordsOfSparseFilesAreRefusedWithTheirMember() throws {
        let record = Array("22 GNU.sparse.major=1\n".utf8)
        let header = TarWriter.header(
            ArchiveEntry(path: Array("g".utf8), kind: .file, mode: 0, size: Int64(record.count)))
        var archive = header + record + TarWriter.padding(Int64(record.count))
        archive[156] = UInt8(ascii: "x")
        ArchiveFuzzTests.mend(&archive, at: 0)
        let error = #expect(throws: ArchiveError.self) { try Self.read(archive + Self.archive(Self.members)) }
        #expect(error?.code == .unsupported)
    }

    @Test func everyTruncationIsSeen() throws {
        let archive = Self.archive(Array(Self.members[0...1]))
        // Its end marks may be missing, and a last padding.
        for length in 1..<(3 * 512 - 509) where length != 512 {
            #expect(throws: ArchiveError.self, "\(length)") { try Self.read(Array(archive[..<length])) }
        }
    }
}
