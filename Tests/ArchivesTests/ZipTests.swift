import Archives
import Testing

struct ZipTests {
    /// Writes members as a packer does.
    static func archive(_ members: [(ArchiveEntry, [UInt8])]) -> [UInt8] {
        var writer = ZipWriter()
        var bytes: [UInt8] = []
        var directory: [UInt8] = []
        for (entry, content) in members {
            let (header, member) = writer.begin(entry, compressed: entry.kind == .file)
            var stored = content
            if entry.kind == .file {
                stored = []
                var deflater = Deflater(.raw)
                deflater.write(content[...], finishing: true, to: &stored)
            }
            var checksum = CRC32()
            checksum.update(content[...])
            writer.count(stored.count)
            let (descriptor, record) = writer.end(
                member, size: UInt64(content.count), compressedSize: UInt64(stored.count), checksum: checksum.value)
            bytes += header + stored + descriptor
            directory += record
        }
        return bytes + directory + writer.end()
    }

    static func read(_ bytes: [UInt8]) throws -> [(ZipRecord, [UInt8])] {
        var end = try ZipEnd(tail: bytes.suffix(ZipEnd.maxBytes + ZipEnd.locatorBytes))
        if let offset = end.zip64Offset {
            guard offset < UInt64(bytes.count) else { throw ArchiveError(.malformed, "beyond its end") }
            end = try ZipEnd(zip64: bytes[Int(offset)...].prefix(56))
        }
        guard end.directoryOffset < UInt64(bytes.count), end.directoryBytes <= UInt64(bytes.count) - end.directoryOffset
        else {
            throw ArchiveError(.malformed, "beyond its end")
        }
        var directory = bytes[Int(end.directoryOffset)..<Int(end.directoryOffset + end.directoryBytes)]
        var members: [(ZipRecord, [UInt8])] = []
        while let record = try ZipRecord.next(&directory) {
            guard record.headerOffset < UInt64(bytes.count) else { throw ArchiveError(.malformed, "beyond its end") }
            let header = bytes[Int(record.headerOffset)...]
            let begin = Int(record.headerOffset) + Int(try ZipRecord.contentOffset(localHeader: header.prefix(30)))
            guard begin <= bytes.count, record.compressedSize <= UInt64(bytes.count - begin) else {
                throw ArchiveError(.truncated, "beyond its end")
            }
            var input = bytes[begin..<begin + Int(record.compressedSize)]
            guard record.method == .deflated else {
                members.append((record, Array(input)))
                continue
            }
            var inflater = Inflater(.raw)
            var content: [UInt8] = []
            while let piece = try inflater.next(&input), content.count < 1 << 20 { content += piece }
            members.append((record, content))
        }
        return members
    }

    static let members: [(ArchiveEntry, [UInt8])] = [
        (ArchiveEntry(path: Array("dir".utf8), kind: .directory, mode: 0o750, modified: 1_700_000_000), []),
        (
            ArchiveEntry(path: Array("dir/é".utf8), kind: .file, mode: 0o640, size: 5000, modified: 951_782_400),
            Array(repeating: 65, count: 5000)
        ),
        (ArchiveEntry(path: Array("empty".utf8), kind: .file, mode: 0o600, modified: 4_000_000_000), []),
        (ArchiveEntry(path: Array("l".utf8), kind: .symbolicLink(target: [0x61]), mode: 0o777), [0x61]),
    ]

    @Test func whatIsWrittenIsReadBack() throws {
        let read = try Self.read(Self.archive(Self.members))
        #expect(read.map(\.1) == Self.members.map(\.1))
        #expect(read.map(\.0.entry.mode) == Self.members.map(\.0.mode))
        #expect(read.map(\.0.entry.modified).prefix(2) == [1_700_000_000, 951_782_400])
        #expect(read[0].0.entry.kind == .directory)
        #expect(read[3].0.entry.kind == .symbolicLink(target: []))
        #expect(read[1].0.compressedSize < 100)
    }

    @Test func manyMembersNeedTheLargerEnd() throws {
        let many = (0..<66_000).map { number in
            (ArchiveEntry(path: Array("\(number)".utf8), kind: .directory, mode: 0o755), [UInt8]())
        }
        let read = try Self.read(Self.archive(many))
        #expect(read.count == 66_000)
        #expect(read.last?.0.entry.text == "65999/")
    }
}

struct DeflateTests {
    @Test func streamsComeBackHoweverTheyAreSplit() throws {
        let content = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 * $0 / 7) }
        var compressed: [UInt8] = []
        var deflater = Deflater(.gzip)
        for start in stride(from: 0, to: content.count, by: 30_000) {
            deflater.write(content[start..<min(start + 30_000, content.count)], to: &compressed)
        }
        deflater.write([], finishing: true, to: &compressed)
        // Two in a row are one stream.
        let twice = compressed + compressed
        for piece in [1, 1000, twice.count] {
            var inflater = Inflater(.gzip)
            var expanded: [UInt8] = []
            for start in stride(from: 0, to: twice.count, by: piece) {
                var input = twice[start..<min(start + piece, twice.count)]
                while let bytes = try inflater.next(&input) { expanded += bytes }
            }
            try inflater.finish()
            #expect(expanded == content + content)
        }
        var cut = Inflater(.gzip)
        var input = compressed[..<(compressed.count / 2)]
        while try cut.next(&input) != nil {}
        do {
            try cut.finish()
            Issue.record("half a stream is no stream")
        } catch {}
    }

    @Test func garbageIsRefused() {
        var inflater = Inflater(.gzip)
        var input: ArraySlice<UInt8> = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xff, 0xff, 0xff, 0xff]
        do {
            while try inflater.next(&input) != nil {}
            Issue.record("garbage was expanded")
        } catch {}
    }
}
