/// POSIX tar (pax) as bytes. Pure: it answers what to write.
///
///     [pax header, when a name or number does not fit] header  content, padded to 512 … 1024 zeros
package enum TarWriter {
    static let blockBytes = 512

    /// The header of one member; its content and `padding` follow.
    package static func header(_ entry: ArchiveEntry) -> [UInt8] {
        var path = entry.path
        if entry.kind == .directory, path.last != UInt8(ascii: "/") { path.append(UInt8(ascii: "/")) }
        var link: [UInt8] = []
        let type: UInt8
        switch entry.kind {
        case .file, .special: type = UInt8(ascii: "0")
        case .hardLink(let target):
            type = UInt8(ascii: "1")
            link = target
        case .symbolicLink(let target):
            type = UInt8(ascii: "2")
            link = target
        case .directory: type = UInt8(ascii: "5")
        }
        let size = entry.kind == .file ? entry.size : 0

        var records: [UInt8] = []
        if needsRecord(path) { records += record("path", path) }
        if needsRecord(link) { records += record("linkpath", link) }
        if size > maxOctal11 { records += record("size", Array("\(size)".utf8)) }
        if entry.modified < 0 || entry.modified > maxOctal11 {
            records += record("mtime", Array("\(entry.modified)".utf8))
        }
        if Int64(entry.uid) > maxOctal7 { records += record("uid", Array("\(entry.uid)".utf8)) }
        if Int64(entry.gid) > maxOctal7 { records += record("gid", Array("\(entry.gid)".utf8)) }
        if !records.isEmpty, String(validating: path + link, as: UTF8.self) == nil {
            records = record("hdrcharset", Array("BINARY".utf8)) + records
        }

        var bytes: [UInt8] = []
        if !records.isEmpty {
            bytes += block(
                name: Array("PaxHeader".utf8), mode: 0o644, uid: 0, gid: 0, size: Int64(records.count), modified: 0,
                type: UInt8(ascii: "x"), link: [])
            bytes += records + padding(Int64(records.count))
        }
        bytes += block(
            name: path, mode: entry.mode & 0o7777, uid: Int64(entry.uid), gid: Int64(entry.gid), size: size,
            modified: entry.modified, type: type, link: link)
        return bytes
    }

    /// What follows a content of that size.
    package static func padding(_ size: Int64) -> [UInt8] {
        let rest = Int(size % Int64(blockBytes))
        return [UInt8](repeating: 0, count: rest == 0 ? 0 : blockBytes - rest)
    }

    package static let end = [UInt8](repeating: 0, count: 2 * blockBytes)

    private static let maxOctal11: Int64 = 0o77777777777
    private static let maxOctal7: Int64 = 0o7777777

    private static func needsRecord(_ name: [UInt8]) -> Bool { name.count > 100 || name.contains { $0 >= 0x80 } }

    /// `length key=value\n`, where the length counts itself.
    private static func record(_ key: String, _ value: [UInt8]) -> [UInt8] {
        let rest = 1 + key.utf8.count + 1 + value.count + 1
        var length = rest + 1
        while length != rest + "\(length)".utf8.count { length = rest + "\(length)".utf8.count }
        return Array("\(length) \(key)=".utf8) + value + [UInt8(ascii: "\n")]
    }

    private static func block(
        name: [UInt8], mode: UInt32, uid: Int64, gid: Int64, size: Int64, modified: Int64, type: UInt8, link: [UInt8]
    ) -> [UInt8] {
        var block = [UInt8](repeating: 0, count: blockBytes)
        func put(_ bytes: some Collection<UInt8>, at offset: Int, _ width: Int) {
            for (index, byte) in bytes.prefix(width).enumerated() { block[offset + index] = byte }
        }
        func octal(_ number: Int64, at offset: Int, _ width: Int) {
            // What does not fit stands in the pax header.
            let limit = Int64(1) << (3 * Int64(width - 1)) - 1
            let digits = String(min(max(number, 0), limit), radix: 8)
            put(
                Array(repeating: UInt8(ascii: "0"), count: width - 1 - digits.utf8.count) + digits.utf8, at: offset,
                width)
        }
        put(name, at: 0, 100)
        octal(Int64(mode), at: 100, 8)
        octal(uid, at: 108, 8)
        octal(gid, at: 116, 8)
        octal(size, at: 124, 12)
        octal(modified, at: 136, 12)
        put(Array("        ".utf8), at: 148, 8)
        block[156] = type
        put(link, at: 157, 100)
        put(Array("ustar".utf8), at: 257, 5)
        put(Array("00".utf8), at: 263, 2)
        let sum = block.reduce(0) { $0 + Int64($1) }
        let digits = String(sum, radix: 8)
        put(Array(String(repeating: "0", count: 6 - digits.utf8.count).utf8) + digits.utf8 + [0, 0x20], at: 148, 8)
        return block
    }
}
