/// Where things are in a zip archive. Pure: the caller reads the bytes that it is asked for.
///
///     tail ─► ZipEnd ─► directory ─► ZipRecord … ─► local header ─► content
package struct ZipEnd: Hashable, Sendable {
    package let members: UInt64
    package let directoryOffset: UInt64
    package let directoryBytes: UInt64

    /// The end record and the longest comment after it.
    package static let maxBytes = 22 + 0xFFFF
    /// What `init` needs to have found for zip64: the locator stands right before the end record.
    package static let locatorBytes = 20

    /// Where zip64's end record is, when there is one.
    package let zip64Offset: UInt64?

    /// - Parameter tail: the last bytes of the archive, `maxBytes + locatorBytes` if it has as many.
    package init(tail: ArraySlice<UInt8>) throws(ArchiveError) {
        guard tail.count >= 22 else { throw ArchiveError(.malformed, "this is no zip archive") }
        var start = tail.endIndex - 22
        while true {
            if tail[start...].starts(with: [0x50, 0x4b, 0x05, 0x06]) {
                // The comment must end where the archive does.
                let comment = Int(tail[start + 20]) | Int(tail[start + 21]) << 8
                if start + 22 + comment == tail.endIndex { break }
            }
            guard start > tail.startIndex else {
                throw ArchiveError(.malformed, "this is no zip archive, or it was cut off")
            }
            start -= 1
        }
        var reader = ByteReader(tail[(start + 4)...])
        guard let disk = reader.u16(), let directoryDisk = reader.u16(), reader.u16() != nil,
            let members = reader.u16(),
            let bytes = reader.u32(), let offset = reader.u32()
        else { throw ArchiveError(.truncated, "the zip archive is cut off") }
        self.members = UInt64(members)
        directoryBytes = UInt64(bytes)
        directoryOffset = UInt64(offset)
        var locator: UInt64?
        if start - tail.startIndex >= Self.locatorBytes {
            var reader = ByteReader(tail[(start - Self.locatorBytes)..<start])
            if reader.u32() == 0x0706_4b50, reader.u32() != nil { locator = reader.u64() }
        }
        zip64Offset = locator
        guard locator != nil || disk == 0 && directoryDisk == 0 else {
            throw ArchiveError(.unsupported, "this is one part of several")
        }
    }

    /// - Parameter record: the 56 bytes at `zip64Offset`.
    package init(zip64 record: ArraySlice<UInt8>) throws(ArchiveError) {
        var reader = ByteReader(record)
        guard reader.u32() == 0x0606_4b50, reader.u64() != nil, reader.u32() != nil, reader.u64() != nil,
            reader.u64() != nil, let members = reader.u64(), let bytes = reader.u64(), let offset = reader.u64()
        else { throw ArchiveError(.malformed, "the zip archive has a broken zip64 record") }
        self.members = members
        directoryBytes = bytes
        directoryOffset = offset
        zip64Offset = nil
    }
}

/// One member, as the directory has it.
package struct ZipRecord: Hashable, Sendable {
    package enum Method: Hashable, Sendable { case stored, deflated }

    package let entry: ArchiveEntry
    package let method: Method
    package let checksum: UInt32
    package let compressedSize: UInt64
    package let headerOffset: UInt64

    /// The fixed part of the record; the name and other things follow.
    static let fixedBytes = 46
    /// That and the longest name, extra field and comment.
    package static let maxBytes = fixedBytes + 3 * 0xFFFF

    /// Takes one record off `input`.
    /// - Returns: nil when it needs more.
    package static func next(_ input: inout ArraySlice<UInt8>) throws(ArchiveError) -> ZipRecord? {
        guard input.count >= fixedBytes else { return nil }
        var reader = ByteReader(input)
        let malformed = ArchiveError(.malformed, "the zip archive has a broken directory")
        guard reader.u32() == 0x0201_4b50 else { throw malformed }
        guard let madeBy = reader.u16(), reader.u16() != nil, let flags = reader.u16(), let method = reader.u16(),
            let time = reader.u16(), let date = reader.u16(), let checksum = reader.u32(),
            let compressed = reader.u32(),
            let size = reader.u32(), let nameLength = reader.u16(), let extraLength = reader.u16(),
            let commentLength = reader.u16(), reader.u32() != nil, let attributes = reader.u32(),
            let offset = reader.u32()
        else { throw malformed }
        guard let name = reader.take(Int(nameLength)), let extra = reader.take(Int(extraLength)),
            reader.take(Int(commentLength)) != nil
        else { return nil }
        input = reader.rest
        let text = String(decoding: name.prefix(256), as: UTF8.self)
        guard flags & 1 == 0, flags & 1 << 6 == 0 else {
            throw ArchiveError(.unsupported, "it is encrypted", entry: text)
        }
        guard method == 0 || method == 8 else {
            throw ArchiveError(.unsupported, "compression method \(method) is not supported", entry: text)
        }
        let wide = try Self.extra(extra, size: size, compressed: compressed, offset: offset, text)
        guard wide.size <= UInt64(Int64.max) else {
            throw ArchiveError(.malformed, "it has an impossible size", entry: text)
        }
        let isUnix = madeBy >> 8 == 3 || madeBy >> 8 == 19
        let mode = isUnix ? attributes >> 16 : 0
        let kind: ArchiveEntry.Kind
        switch mode & 0o170000 {
        case 0o120000: kind = .symbolicLink(target: [])
        case 0o040000: kind = .directory
        case 0, 0o100000: kind = name.last == UInt8(ascii: "/") ? .directory : .file
        default: kind = .special
        }
        guard !name.isEmpty else { throw ArchiveError(.malformed, "a zip member without a name") }
        let permissions = mode & 0o777
        return ZipRecord(
            entry: ArchiveEntry(
                path: Array(name), kind: kind,
                mode: permissions != 0 ? permissions : kind == .directory ? 0o755 : 0o644, size: Int64(wide.size),
                modified: wide.modified ?? seconds(date: date, time: time)),
            method: method == 0 ? .stored : .deflated, checksum: checksum, compressedSize: wide.compressed,
            headerOffset: wide.offset)
    }

    /// The local header's fixed part tells where the content begins.
    package static let localHeaderBytes = 30

    /// How far behind the local header's begin the content is.
    package static func contentOffset(localHeader: ArraySlice<UInt8>) throws(ArchiveError) -> UInt64 {
        var reader = ByteReader(localHeader)
        guard reader.u32() == 0x0403_4b50, reader.take(22) != nil, let name = reader.u16(), let extra = reader.u16()
        else {
            throw ArchiveError(.malformed, "the zip archive has a broken header")
        }
        return UInt64(localHeaderBytes) + UInt64(name) + UInt64(extra)
    }

    private struct Wide {
        var size: UInt64
        var compressed: UInt64
        var offset: UInt64
        var modified: Int64?
    }

    private static func extra(
        _ bytes: ArraySlice<UInt8>, size: UInt32, compressed: UInt32, offset: UInt32, _ text: String
    ) throws(ArchiveError) -> Wide {
        var wide = Wide(size: UInt64(size), compressed: UInt64(compressed), offset: UInt64(offset), modified: nil)
        var reader = ByteReader(bytes)
        while let id = reader.u16(), let length = reader.u16(), let field = reader.take(Int(length)) {
            var field = ByteReader(field)
            if id == 1 {
                // Only what did not fit is there, in this order.
                let malformed = ArchiveError(.malformed, "its zip64 field is broken", entry: text)
                if size == .max {
                    guard let number = field.u64() else { throw malformed }
                    wide.size = number
                }
                if compressed == .max {
                    guard let number = field.u64() else { throw malformed }
                    wide.compressed = number
                }
                if offset == .max {
                    guard let number = field.u64() else { throw malformed }
                    wide.offset = number
                }
            } else if id == 0x5455, let flags = field.number(1), flags & 1 != 0, let seconds = field.u32() {
                wide.modified = Int64(Int32(bitPattern: seconds))
            }
        }
        return wide
    }

    private static func seconds(date: UInt16, time: UInt16) -> Int64 {
        let (year, month, day) = (Int64(date >> 9) + 1980, Int64(date >> 5 & 15), Int64(date & 31))
        guard (1...12).contains(month), day > 0 else { return 315_532_800 }
        // The inverse of `ZipWriter.civil`.
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted % 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
        return days * 86_400 + Int64(time >> 11) * 3600 + Int64(time >> 5 & 63) * 60 + Int64(time & 31) * 2
    }
}
