extension DotEnv {
    /// Takes a file apart, line by line. Every byte is in exactly one line. A quote that nobody closes is looked for to the
    /// end of the file, but there can be only one such of each kind: any other is closed by the next.
    struct Reader {
        enum Line {
            case other([UInt8])
            case assignment(name: String, value: String, raw: [UInt8])
        }

        private let bytes: [UInt8]
        private var position = 0

        init(_ bytes: [UInt8]) { self.bytes = bytes }

        mutating func next() -> Line? {
            guard position < bytes.count else { return nil }
            let start = position
            if let found = Self.assignment(in: bytes, from: start) {
                position = found.end
                return .assignment(name: found.name, value: found.value, raw: Array(bytes[start..<found.end]))
            }
            position = Self.lineEnd(bytes, start)
            return .other(Array(bytes[start..<position]))
        }

        /// What stands before the value of an assignment, the value as it is written, and what stands behind it.
        static func parts(of raw: [UInt8]) -> (prefix: [UInt8], value: [UInt8], suffix: [UInt8]) {
            guard let found = assignment(in: raw, from: 0) else { return (raw, [], []) }
            return (
                Array(raw[..<found.written.lowerBound]), Array(raw[found.written]),
                Array(raw[found.written.upperBound...])
            )
        }

        private struct Found {
            let name: String
            let value: String
            /// Where the value is written, with its quotes.
            let written: Range<Int>
            /// Behind the line's end.
            let end: Int
        }

        private static func assignment(in bytes: [UInt8], from start: Int) -> Found? {
            var at = skipBlanks(bytes, start)
            let export = Array("export".utf8)
            if bytes[at...].starts(with: export), isBlank(bytes, at + export.count) {
                at = skipBlanks(bytes, at + export.count)
            }
            let nameStart = at
            while at < bytes.count, !isBlank(bytes, at), bytes[at] != UInt8(ascii: "="), bytes[at] != newline {
                at += 1
            }
            guard let name = String(validating: bytes[nameStart..<at], as: UTF8.self), DotEnv.isName(name) else {
                return nil
            }
            at = skipBlanks(bytes, at)
            guard at < bytes.count, bytes[at] == UInt8(ascii: "=") else { return nil }
            at = skipBlanks(bytes, at + 1)
            if at < bytes.count, bytes[at] == UInt8(ascii: "'") || bytes[at] == UInt8(ascii: "\""),
                let (value, end) = quoted(bytes, at)
            {
                // Behind the closing quote comes a comment or nothing; with anything else it was no quoted value.
                let rest = skipBlanks(bytes, end)
                if rest >= bytes.count || isLineEnd(bytes, rest) || bytes[rest] == UInt8(ascii: "#") {
                    return Found(name: name, value: value, written: at..<end, end: lineEnd(bytes, rest))
                }
            }
            return bare(bytes, at, name)
        }

        private static func bare(_ bytes: [UInt8], _ start: Int, _ name: String) -> Found? {
            let end = lineEnd(bytes, start)
            var stop = start
            while stop < end, !isLineEnd(bytes, stop) {
                // A comment begins with its own word.
                if bytes[stop] == UInt8(ascii: "#"), stop == start || isBlank(bytes, stop - 1) { break }
                stop += 1
            }
            while stop > start, isBlank(bytes, stop - 1) { stop -= 1 }
            guard let value = String(validating: bytes[start..<stop], as: UTF8.self) else { return nil }
            return Found(name: name, value: value, written: start..<stop, end: end)
        }

        /// - Returns: the value, and where it ends; nil when its quote is not closed.
        private static func quoted(_ bytes: [UInt8], _ start: Int) -> (String, Int)? {
            let quote = bytes[start]
            var value: [UInt8] = []
            var at = start + 1
            while at < bytes.count {
                let byte = bytes[at]
                at += 1
                if byte == quote { return String(validating: value, as: UTF8.self).map { ($0, at) } }
                guard byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "\""), at < bytes.count else {
                    value.append(byte)
                    continue
                }
                let escaped = bytes[at]
                at += 1
                switch escaped {
                case UInt8(ascii: "n"): value.append(newline)
                case UInt8(ascii: "r"): value.append(return_)
                case UInt8(ascii: "t"): value.append(9)
                case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "$"), UInt8(ascii: "`"): value.append(escaped)
                default: value += [byte, escaped]
                }
            }
            return nil
        }

        private static let newline = UInt8(ascii: "\n")
        private static let return_ = UInt8(ascii: "\r")

        private static func isBlank(_ bytes: [UInt8], _ at: Int) -> Bool {
            at < bytes.count && (bytes[at] == UInt8(ascii: " ") || bytes[at] == 9)
        }

        private static func isLineEnd(_ bytes: [UInt8], _ at: Int) -> Bool {
            bytes[at] == newline || (bytes[at] == return_ && (at + 1 == bytes.count || bytes[at + 1] == newline))
        }

        private static func skipBlanks(_ bytes: [UInt8], _ start: Int) -> Int {
            var at = start
            while isBlank(bytes, at) { at += 1 }
            return at
        }

        /// Behind the end of the line that `start` is in.
        private static func lineEnd(_ bytes: [UInt8], _ start: Int) -> Int {
            guard start < bytes.count else { return bytes.count }
            return bytes[start...].firstIndex(of: newline).map { $0 + 1 } ?? bytes.count
        }
    }
}
