/// Reads tar (v7, ustar, pax, GNU long names) from bytes as they come. Pure, and holds no more than a header.
package struct TarReader: Sendable {
    package enum Event: Hashable, Sendable {
        case entry(ArchiveEntry)
        /// A piece of the last entry's content.
        case content(ArraySlice<UInt8>)
        case entryEnded
        /// What follows is padding.
        case ended
    }

    private enum State: Sendable {
        case header
        /// A pax header or long name of `left` more bytes, of type `type`.
        case meta(type: UInt8, left: Int64, padding: Int64)
        case content(left: Int64, padding: Int64)
        case padding(left: Int64)
        /// One block of zeros was there.
        case half
        case ended
    }

    /// Names are at most 4 KiB and records few; more is an attack.
    static let maxMetaBytes: Int64 = 1 << 20

    private var state = State.header
    private var block: [UInt8] = []
    private var meta: [UInt8] = []
    private var global: [String: [UInt8]] = [:]
    private var local: [String: [UInt8]] = [:]
    private var hasEntry = false

    package init() {}

    /// Takes what it needs off `input`.
    /// - Returns: nil when it needs more.
    package mutating func next(_ input: inout ArraySlice<UInt8>) throws(ArchiveError) -> Event? {
        while true {
            switch state {
            case .ended:
                input = input.suffix(0)
                return nil
            case .header, .half:
                guard fillBlock(&input) else { return nil }
                if let event = try header() { return event }
            case .meta(let type, let left, let padding):
                guard let piece = take(left, &input) else { return nil }
                meta += piece
                let rest = left - Int64(piece.count)
                if rest > 0 {
                    state = .meta(type: type, left: rest, padding: padding)
                } else {
                    try metaEnded(type)
                    state = .padding(left: padding)
                }
            case .content(let left, let padding):
                if left == 0 {
                    state = .padding(left: padding)
                    return .entryEnded
                }
                guard let piece = take(left, &input) else { return nil }
                state = .content(left: left - Int64(piece.count), padding: padding)
                return .content(piece)
            case .padding(let left):
                guard left > 0 else {
                    state = .header
                    continue
                }
                guard let piece = take(left, &input) else { return nil }
                state = .padding(left: left - Int64(piece.count))
            }
        }
    }

    /// No more bytes will come.
    package func finish() throws(ArchiveError) {
        switch state {
        case .ended, .half: return
        // Many writers leave the end marks out.
        case .header where block.isEmpty && hasEntry: return
        // Nothing at all is an empty archive to `tar` too.
        case .padding: return
        case .header, .meta, .content: throw ArchiveError(.truncated, "the tar archive ends too early")
        }
    }

    private func take(_ limit: Int64, _ input: inout ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard !input.isEmpty else { return nil }
        let count = Int(min(limit, Int64(input.count)))
        let piece = input.prefix(count)
        input = input.dropFirst(count)
        return piece
    }

    private mutating func fillBlock(_ input: inout ArraySlice<UInt8>) -> Bool {
        let piece = input.prefix(TarWriter.blockBytes - block.count)
        block += piece
        input = input.dropFirst(piece.count)
        return block.count == TarWriter.blockBytes
    }

    private mutating func header() throws(ArchiveError) -> Event? {
        let header = block
        block = []
        if header.allSatisfy({ $0 == 0 }) {
            if case .half = state {
                state = .ended
                return .ended
            }
            state = .half
            return nil
        }
        guard Self.hasValidSum(header) else { throw ArchiveError(.malformed, "a tar header has a wrong checksum") }
        let type = header[156]
        let size = try number(header, 124, 12, "size")
        let padding = Int64(TarWriter.padding(size).count)
        switch type {
        case UInt8(ascii: "x"), UInt8(ascii: "g"), UInt8(ascii: "L"), UInt8(ascii: "K"):
            guard size <= Self.maxMetaBytes else { throw ArchiveError(.malformed, "a tar header of \(size) bytes") }
            meta = []
            state = .meta(type: type, left: size, padding: padding)
            if size == 0 { state = .header }
            return nil
        default: break
        }
        return try entry(header, type)
    }

    private mutating func entry(_ header: [UInt8], _ type: UInt8) throws(ArchiveError) -> Event {
        hasEntry = true
        let records = global.merging(local) { _, local in local }
        local = [:]
        var path = Self.field(header, 0, 100)
        let isUstar = header[257..<262].elementsEqual("ustar".utf8) && header[262] == 0
        let prefix = isUstar ? Self.field(header, 345, 155) : []
        if !prefix.isEmpty { path = prefix + [UInt8(ascii: "/")] + path }
        path = records["path"] ?? path
        let name = String(decoding: path.prefix(256), as: UTF8.self)
        let link = records["linkpath"] ?? Self.field(header, 157, 100)
        let kind: ArchiveEntry.Kind
        switch type {
        case 0, UInt8(ascii: "0"), UInt8(ascii: "7"):
            // Before POSIX a slash at the end was all that told a directory.
            kind = path.last == UInt8(ascii: "/") ? .directory : .file
        case UInt8(ascii: "1"): kind = .hardLink(target: link)
        case UInt8(ascii: "2"): kind = .symbolicLink(target: link)
        case UInt8(ascii: "5"): kind = .directory
        case UInt8(ascii: "S"), UInt8(ascii: "M"):
            throw ArchiveError(.unsupported, "sparse and multi-volume members are not supported", entry: name)
        default: kind = .special
        }
        if records[Self.sparse] != nil {
            throw ArchiveError(.unsupported, "sparse members are not supported", entry: name)
        }
        var size = try number(header, 124, 12, "size")
        if let text = records["size"] { size = try Self.decimal(text, "size", name) }
        // A link has no content, whatever an old writer put there; pax allows one for hard links, and nobody does it.
        if kind != .file, kind != .special { size = 0 }
        var modified = (try? number(header, 136, 12, "mtime")) ?? 0
        if let text = records["mtime"] { modified = try Self.decimal(text, "mtime", name, signed: true) }
        let entry = ArchiveEntry(
            path: path, kind: kind,
            mode: UInt32(truncatingIfNeeded: (try? number(header, 100, 8, "mode")) ?? 0o644) & 0o7777,
            size: size, modified: modified,
            uid: UInt32(truncatingIfNeeded: (try? number(header, 108, 8, "uid")) ?? 0),
            gid: UInt32(truncatingIfNeeded: (try? number(header, 116, 8, "gid")) ?? 0))
        guard !path.isEmpty else { throw ArchiveError(.malformed, "a tar member without a name") }
        state = .content(left: size, padding: Int64(TarWriter.padding(size).count))
        return .entry(entry)
    }

    private mutating func metaEnded(_ type: UInt8) throws(ArchiveError) {
        defer { meta = [] }
        switch type {
        case UInt8(ascii: "L"): local["path"] = Array(meta.prefix { $0 != 0 })
        case UInt8(ascii: "K"): local["linkpath"] = Array(meta.prefix { $0 != 0 })
        case UInt8(ascii: "g"): global.merge(try Self.records(meta)) { _, new in new }
        default: local.merge(try Self.records(meta)) { _, new in new }
        }
    }

    private static let sparse = "GNU.sparse."

    /// The ones that we use. Each says its own length, so a line break in a name does no harm.
    private static func records(_ bytes: [UInt8]) throws(ArchiveError) -> [String: [UInt8]] {
        var records: [String: [UInt8]] = [:]
        var rest = bytes[...]
        while let first = rest.first, first != 0 {
            guard let space = rest.firstIndex(of: UInt8(ascii: " ")), space - rest.startIndex < 10,
                let length = Int(String(decoding: rest[..<space], as: UTF8.self)), length > space - rest.startIndex + 2,
                length <= rest.count
            else { throw ArchiveError(.malformed, "a broken pax header") }
            let record = rest[(space + 1)..<(rest.startIndex + length)]
            guard record.last == UInt8(ascii: "\n"), let equals = record.firstIndex(of: UInt8(ascii: "=")) else {
                throw ArchiveError(.malformed, "a broken pax header")
            }
            let key = String(decoding: record[..<equals], as: UTF8.self)
            if ["path", "linkpath", "size", "mtime"].contains(key) {
                records[key] = Array(record[(equals + 1)...].dropLast())
            } else if key.hasPrefix("GNU.sparse.") {
                // That there is one. Kept by their own names, they could be without number.
                records[Self.sparse] = []
            }
            rest = rest[(rest.startIndex + length)...]
        }
        return records
    }

    private static func field(_ header: [UInt8], _ offset: Int, _ width: Int) -> [UInt8] {
        Array(header[offset..<offset + width].prefix { $0 != 0 })
    }

    /// Octal digits, or GNU's binary form for what they cannot hold.
    private func number(_ header: [UInt8], _ offset: Int, _ width: Int, _ what: String) throws(ArchiveError) -> Int64 {
        let bytes = header[offset..<offset + width]
        let broken = ArchiveError(.malformed, "a tar header has no valid \(what)")
        if bytes.first == 0x80 {
            guard bytes.dropFirst().dropLast(8).allSatisfy({ $0 == 0 }) else { throw broken }
            let value = bytes.dropFirst().suffix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            guard value <= UInt64(Int64.max) else { throw broken }
            return Int64(value)
        }
        var value: Int64 = 0
        var ended = false
        for byte in bytes.drop(while: { $0 == 0x20 }) {
            if byte == 0 || byte == 0x20 {
                ended = true
                continue
            }
            guard !ended, (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(byte) else { throw broken }
            value = value << 3 | Int64(byte - UInt8(ascii: "0"))
        }
        return value
    }

    /// A fraction is cut off.
    private static func decimal(
        _ text: [UInt8], _ what: String, _ entry: String, signed: Bool = false
    ) throws(ArchiveError) -> Int64 {
        let whole = String(decoding: text.prefix { $0 != UInt8(ascii: ".") }, as: UTF8.self)
        guard let number = Int64(whole), signed || number >= 0, number < 1 << 60, number > -(1 << 60) else {
            throw ArchiveError(.malformed, "a pax header has no valid \(what)", entry: entry)
        }
        return number
    }

    private static func hasValidSum(_ header: [UInt8]) -> Bool {
        var unsigned: Int64 = 0
        var signed: Int64 = 0
        for (index, byte) in header.enumerated() {
            let byte = (148..<156).contains(index) ? 0x20 : byte
            unsigned += Int64(byte)
            signed += Int64(Int8(bitPattern: byte))
        }
        var wanted: Int64 = 0
        for byte in header[148..<156].drop(while: { $0 == 0x20 }) {
            guard (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(byte) else { break }
            wanted = wanted << 3 | Int64(byte - UInt8(ascii: "0"))
        }
        // Some old writers summed signed bytes.
        return wanted == unsigned || wanted == signed
    }
}
