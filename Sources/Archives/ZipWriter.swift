/// A zip archive as bytes, written in one go: sizes and checksum follow each content. Pure.
///
///     header  content, deflated  descriptor … directory  [zip64 end, its locator]  end
///
/// The directory grows with the members, so its records are handed out as they come: the caller keeps them and writes them
/// when the last member is done.
package struct ZipWriter: Sendable {
    /// A member under way.
    package struct Member: Sendable {
        let entry: ArchiveEntry
        let offset: UInt64
        let isZip64: Bool
        let isCompressed: Bool
    }

    /// Every byte that was handed out so far.
    private var offset: UInt64 = 0
    private var members: UInt64 = 0
    private var directoryBytes: UInt64 = 0

    package init() {}

    private static let zip64Extra: UInt16 = 1
    /// Sizes from here on go into eight bytes. Deflated, a content may also grow a little.
    private static let smallLimit: Int64 = 0xFFFF_0000 - (1 << 26)

    /// - Parameter compressed: the content that follows is raw deflate; else it is as it is.
    package mutating func begin(_ entry: ArchiveEntry, compressed: Bool) -> (header: [UInt8], Member) {
        let member = Member(
            entry: entry, offset: offset, isZip64: entry.size > Self.smallLimit, isCompressed: compressed)
        var header = ByteWriter()
        header.u32(0x0403_4b50)
        header.u16(member.isZip64 ? 45 : 20)
        header.u16(Self.flags)
        header.u16(compressed ? 8 : 0)
        Self.time(entry.modified, &header)
        header.u32(0)
        header.u32(member.isZip64 ? .max : 0)
        header.u32(member.isZip64 ? .max : 0)
        let name = Self.name(entry)
        var extra = Self.timestamp(entry.modified)
        if member.isZip64 {
            extra.u16(Self.zip64Extra)
            extra.u16(16)
            extra.u64(0)
            extra.u64(0)
        }
        header.u16(UInt16(name.count))
        header.u16(UInt16(extra.bytes.count))
        header.raw(name)
        header.raw(extra.bytes)
        offset += UInt64(header.bytes.count)
        return (header.bytes, member)
    }

    /// Content of the current member has been written, as it is in the archive.
    package mutating func count(_ bytes: Int) { offset += UInt64(bytes) }

    /// - Returns: what follows the content, and the member's record for the directory.
    package mutating func end(
        _ member: Member, size: UInt64, compressedSize: UInt64, checksum: UInt32
    ) -> (descriptor: [UInt8], record: [UInt8]) {
        var descriptor = ByteWriter()
        descriptor.u32(0x0807_4b50)
        descriptor.u32(checksum)
        if member.isZip64 {
            descriptor.u64(compressedSize)
            descriptor.u64(size)
        } else {
            descriptor.u32(UInt32(compressedSize))
            descriptor.u32(UInt32(size))
        }
        offset += UInt64(descriptor.bytes.count)
        members += 1

        let needsZip64 = member.isZip64 || member.offset >= UInt64(UInt32.max)
        var extra = Self.timestamp(member.entry.modified)
        if needsZip64 {
            extra.u16(Self.zip64Extra)
            extra.u16(24)
            extra.u64(size)
            extra.u64(compressedSize)
            extra.u64(member.offset)
        }
        var record = ByteWriter()
        record.u32(0x0201_4b50)
        record.u16(3 << 8 | 45)  // made on Unix
        record.u16(needsZip64 ? 45 : 20)
        record.u16(Self.flags)
        record.u16(member.isCompressed ? 8 : 0)
        Self.time(member.entry.modified, &record)
        record.u32(checksum)
        record.u32(needsZip64 ? .max : UInt32(compressedSize))
        record.u32(needsZip64 ? .max : UInt32(size))
        let name = Self.name(member.entry)
        record.u16(UInt16(name.count))
        record.u16(UInt16(extra.bytes.count))
        record.u16(0)
        record.u16(0)
        record.u16(0)
        record.u32(Self.attributes(member.entry))
        record.u32(needsZip64 ? .max : UInt32(member.offset))
        record.raw(name)
        record.raw(extra.bytes)
        directoryBytes += UInt64(record.bytes.count)
        return (descriptor.bytes, record.bytes)
    }

    /// What follows the directory.
    package func end() -> [UInt8] {
        var end = ByteWriter()
        let isZip64 = members >= 0xFFFF || directoryBytes >= UInt64(UInt32.max) || offset >= UInt64(UInt32.max)
        if isZip64 {
            end.u32(0x0606_4b50)
            end.u64(44)
            end.u16(3 << 8 | 45)
            end.u16(45)
            end.u32(0)
            end.u32(0)
            end.u64(members)
            end.u64(members)
            end.u64(directoryBytes)
            end.u64(offset)
            end.u32(0x0706_4b50)
            end.u32(0)
            end.u64(offset + directoryBytes)
            end.u32(1)
        }
        end.u32(0x0605_4b50)
        end.u16(0)
        end.u16(0)
        end.u16(UInt16(min(members, 0xFFFF)))
        end.u16(UInt16(min(members, 0xFFFF)))
        end.u32(UInt32(min(directoryBytes, UInt64(UInt32.max))))
        end.u32(isZip64 ? .max : UInt32(offset))
        end.u16(0)
        return end.bytes
    }

    /// Sizes follow the content; names are UTF-8.
    private static let flags: UInt16 = 1 << 3 | 1 << 11

    private static func name(_ entry: ArchiveEntry) -> [UInt8] {
        entry.kind == .directory && entry.path.last != UInt8(ascii: "/") ? entry.path + [UInt8(ascii: "/")] : entry.path
    }

    private static func attributes(_ entry: ArchiveEntry) -> UInt32 {
        let type: UInt32
        switch entry.kind {
        case .directory: type = 0o040000
        case .symbolicLink: type = 0o120000
        case .file, .hardLink, .special: type = 0o100000
        }
        // The lowest byte is for DOS, which knows directories.
        return (type | entry.mode & 0o7777) << 16 | (entry.kind == .directory ? 0x10 : 0)
    }

    /// Info-ZIP's field with the time in UTC seconds, which DOS times are not.
    private static func timestamp(_ seconds: Int64) -> ByteWriter {
        var extra = ByteWriter()
        extra.u16(0x5455)
        extra.u16(5)
        extra.u8(1)
        extra.u32(UInt32(truncatingIfNeeded: min(max(seconds, 0), Int64(Int32.max))))
        return extra
    }

    /// In DOS form, as UTC.
    private static func time(_ seconds: Int64, _ writer: inout ByteWriter) {
        let seconds = min(max(seconds, 315_532_800), 4_354_819_198)  // 1980 … 2107
        let (year, month, day) = civil(seconds / 86_400)
        let time = seconds % 86_400
        writer.u16(UInt16(time / 3600) << 11 | UInt16(time / 60 % 60) << 5 | UInt16(time % 60 / 2))
        writer.u16(UInt16(year - 1980) << 9 | UInt16(month) << 5 | UInt16(day))
    }

    /// The date of a day since 1970, after 1970.
    static func civil(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        // Years that begin in March have the leap day at their end; an era is 400 of them.
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }
}
