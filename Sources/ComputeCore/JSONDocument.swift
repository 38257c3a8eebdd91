/// Reads one JSON document (RFC 8259) strictly: what two parsers could read differently is an error.
///
/// The general decoder is not used for bodies from outside, because it takes the last of two equal keys in silence
/// (`{"name":"a","name":"b"}` means one thing to us and another to a proxy that looked first), has no limit of
/// depth of ours, and finds the type of each value by trying and throwing.
package enum JSONDocument {
    /// Deeper than any honest message, and far from the end of a 512 KiB thread stack.
    package static let maxDepth = 64

    /// - Throws: a 400 `Problem` that says what is wrong and at which byte. An empty body reads as `{}`: public
    ///   clients send bodiless POSTs.
    package static func parse(_ bytes: [UInt8]) throws(Problem) -> JSONValue {
        // The whole text is checked at once, so that the reader below may copy string bytes without looking.
        guard String(validating: bytes, as: UTF8.self) != nil else {
            throw problem("it is not UTF-8")
        }
        var reader = JSONReader(bytes: bytes)
        reader.skipSpace()
        if reader.isAtEnd { return .object([:]) }
        let value = try reader.value(depth: 0)
        reader.skipSpace()
        guard reader.isAtEnd else { throw reader.unexpected("something after its end") }
        return value
    }

    static func problem(_ text: String) -> Problem {
        Problem(status: 400, code: .invalidRequest, message: "the request body is not valid JSON: \(text)")
    }
}

/// The position in the text, and the grammar's rules as methods.
private struct JSONReader {
    let bytes: [UInt8]
    var index = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { index == bytes.count }

    var next: UInt8? { index < bytes.count ? bytes[index] : nil }

    func unexpected(_ what: String) -> Problem { JSONDocument.problem("\(what) at byte \(index)") }

    mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { index += 1 }
    }

    mutating func skip(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        index += 1
        return true
    }

    mutating func value(depth: Int) throws(Problem) -> JSONValue {
        guard depth <= JSONDocument.maxDepth else {
            throw JSONDocument.problem("more than \(JSONDocument.maxDepth) levels deep")
        }
        switch next {
        case UInt8(ascii: "{"): return .object(try object(depth: depth))
        case UInt8(ascii: "["): return .array(try array(depth: depth))
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case let byte? where byte == UInt8(ascii: "-") || byte.isDigit: return try number()
        case nil: throw unexpected("it ends too early")
        default: throw unexpected("an unexpected character")
        }
    }

    mutating func word(_ word: StaticString, _ value: JSONValue) throws(Problem) -> JSONValue {
        let wanted = word.withUTF8Buffer { Array($0) }
        guard bytes[index...].starts(with: wanted) else { throw unexpected("an unexpected word") }
        index += wanted.count
        return value
    }

    mutating func object(depth: Int) throws(Problem) -> [String: JSONValue] {
        index += 1
        var fields: [String: JSONValue] = [:]
        skipSpace()
        if skip(UInt8(ascii: "}")) { return fields }
        while true {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw unexpected("a key is missing") }
            let key = try string()
            skipSpace()
            guard skip(UInt8(ascii: ":")) else { throw unexpected("a colon is missing") }
            skipSpace()
            let value: JSONValue
            do throws(Problem) { value = try self.value(depth: depth + 1) } catch {
                throw error.below("\(key.prefix(64))")
            }
            guard fields.updateValue(value, forKey: key) == nil else { throw .twice("\(key.prefix(64))") }
            skipSpace()
            if skip(UInt8(ascii: ",")) { continue }
            guard skip(UInt8(ascii: "}")) else { throw unexpected("a comma or brace is missing") }
            return fields
        }
    }

    mutating func array(depth: Int) throws(Problem) -> [JSONValue] {
        index += 1
        var values: [JSONValue] = []
        skipSpace()
        if skip(UInt8(ascii: "]")) { return values }
        while true {
            skipSpace()
            do throws(Problem) {
                values.append(try value(depth: depth + 1))
            } catch {
                throw error.below("[\(values.count)]")
            }
            skipSpace()
            if skip(UInt8(ascii: ",")) { continue }
            guard skip(UInt8(ascii: "]")) else { throw unexpected("a comma or bracket is missing") }
            return values
        }
    }

    mutating func string() throws(Problem) -> String {
        index += 1
        var text: [UInt8] = []
        while true {
            // Whole runs at once: a file's content may be megabytes of one string.
            let start = index
            while let byte = next, byte >= 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") { index += 1 }
            text.append(contentsOf: bytes[start..<index])
            if skip(UInt8(ascii: "\"")) { return String(decoding: text, as: UTF8.self) }
            guard skip(UInt8(ascii: "\\")) else { break }
            text.append(contentsOf: try escape())
        }
        guard isAtEnd else { throw unexpected("a raw control character in a string") }
        throw unexpected("a string without an end")
    }

    mutating func escape() throws(Problem) -> [UInt8] {
        guard let byte = next else { throw unexpected("a string without an end") }
        index += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "u"): break
        default: throw unexpected("an unknown escape")
        }
        var code = try hexDigits()
        if (0xD800..<0xDC00).contains(code) {
            guard skip(UInt8(ascii: "\\")), skip(UInt8(ascii: "u")) else { throw unexpected("half a character") }
            let low = try hexDigits()
            guard (0xDC00..<0xE000).contains(low) else { throw unexpected("half a character") }
            code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
        }
        // A lone low surrogate is no scalar: nil.
        guard let scalar = Unicode.Scalar(code) else { throw unexpected("half a character") }
        return Array(String(Character(scalar)).utf8)
    }

    mutating func hexDigits() throws(Problem) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw unexpected("a broken \\u escape")
            }
            index += 1
            code = code << 4 | UInt32(digit)
        }
        return code
    }

    mutating func digits() -> Int {
        let start = index
        while let byte = next, byte.isDigit { index += 1 }
        return index - start
    }

    /// Whole numbers that fit stay whole; others become a finite double or an error, never infinity.
    mutating func number() throws(Problem) -> JSONValue {
        let start = index
        var isWhole = true
        _ = skip(UInt8(ascii: "-"))
        if skip(UInt8(ascii: "0")) {
            if let byte = next, byte.isDigit { throw unexpected("a number with a leading zero") }
        } else if digits() == 0 {
            throw unexpected("a number without digits")
        }
        if skip(UInt8(ascii: ".")) {
            isWhole = false
            if digits() == 0 { throw unexpected("a number without digits") }
        }
        if skip(UInt8(ascii: "e")) || skip(UInt8(ascii: "E")) {
            isWhole = false
            if !skip(UInt8(ascii: "+")) { _ = skip(UInt8(ascii: "-")) }
            if digits() == 0 { throw unexpected("a number without digits") }
        }
        let text = String(decoding: bytes[start..<index], as: UTF8.self)
        if isWhole, let whole = Int64(text) { return .int(whole) }
        guard let real = Double(text), real.isFinite else {
            index = start
            throw unexpected("a number too large")
        }
        return .double(real)
    }
}

extension Problem {
    /// A key that is there twice, by its whole path; the rest of what can be wrong is no field's.
    fileprivate static func twice(_ path: String) -> Problem {
        let path = String(path.prefix(256))
        return Problem(
            status: 400, code: .invalidRequest, message: "the request body holds the key \(path) twice", field: path)
    }

    /// Seen from where `part` is: the name of a member, or the place of an element.
    fileprivate func below(_ part: String) -> Problem {
        guard let field else { return self }
        return .twice(field.hasPrefix("[") ? part + field : "\(part).\(field)")
    }
}
