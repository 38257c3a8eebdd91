/// A `.env` file: assignments, and between them whatever people write there, which stays as it is. A value; reads and
/// writes nothing.
///
///     # comment
///     export NAME=value            a comment begins behind a space
///     NAME='as it is, $HOME too'
///     NAME="escapes: \n \r \t \" \\ \$, and
///     lines"
///
/// Of two assignments of a name the later counts. Setting a name changes its last assignment alone, and writes
/// values such that this and other readers read them back exactly.
package struct DotEnv: Hashable, Sendable {
    private enum Piece: Hashable, Sendable {
        /// With its line's end.
        case other([UInt8])
        /// With all that stands around it, to the end of its line.
        case assignment(name: String, value: String, raw: [UInt8])
    }

    private var pieces: [Piece] = []

    package init(_ bytes: [UInt8]) {
        var reader = Reader(bytes)
        while let line = reader.next() {
            switch line {
            case .other(let raw): pieces.append(.other(raw))
            case .assignment(let name, let value, let raw):
                pieces.append(.assignment(name: name, value: value, raw: raw))
            }
        }
    }

    package var bytes: [UInt8] {
        pieces.reduce(into: []) { bytes, piece in
            switch piece {
            case .other(let raw), .assignment(_, _, let raw): bytes += raw
            }
        }
    }

    package var variables: [String: String] {
        pieces.reduce(into: [:]) { variables, piece in
            if case .assignment(let name, let value, _) = piece { variables[name] = value }
        }
    }

    package mutating func set(_ values: [String: String]) {
        for (name, value) in values.sorted(by: { $0.key < $1.key }) { put(name, value) }
        settle()
    }

    /// Removes every assignment of each name.
    /// - Returns: those that there were.
    package mutating func remove(_ names: [String]) -> [String] {
        let there = Set(variables.keys)
        let found = Set(names).intersection(there)
        pieces.removeAll { piece in
            switch piece {
            case .other: false
            case .assignment(let name, _, _): found.contains(name)
            }
        }
        settle()
        return found.sorted()
    }

    private mutating func put(_ name: String, _ value: String) {
        let last = pieces.lastIndex { piece in
            switch piece {
            case .other: false
            case .assignment(let other, _, _): other == name
            }
        }
        guard let last, case .assignment(_, let current, let raw) = pieces[last] else {
            endLastLine()
            let raw = Array("\(name)=\(Self.quoted(value))\n".utf8)
            pieces.append(.assignment(name: name, value: value, raw: raw))
            return
        }
        guard current != value else { return }
        pieces[last] = .assignment(name: name, value: value, raw: Self.rewritten(raw, value))
    }

    private static func rewritten(_ raw: [UInt8], _ value: String) -> [UInt8] {
        var parts = Reader.parts(of: raw)
        // An empty value may have had its comment right behind it.
        if parts.suffix.first == UInt8(ascii: "#") { parts.suffix.insert(UInt8(ascii: " "), at: 0) }
        return parts.prefix + Array(quoted(value).utf8) + parts.suffix
    }

    /// A quote that nobody closed may be closed by what has changed behind it. Then all values are written anew.
    private mutating func settle() {
        guard DotEnv(bytes).variables != variables else { return }
        pieces = pieces.map { (piece) -> Piece in
            switch piece {
            case .other: piece
            case .assignment(let name, let value, let raw):
                .assignment(name: name, value: value, raw: Self.rewritten(raw, value))
            }
        }
    }

    /// A last line without an end would swallow what is put behind it.
    private mutating func endLastLine() {
        let newline = UInt8(ascii: "\n")
        switch pieces.last {
        case nil: break
        case .other(let raw)?: if raw.last != newline { pieces[pieces.count - 1] = .other(raw + [newline]) }
        case .assignment(let name, let value, let raw)?:
            guard raw.last != newline else { return }
            pieces[pieces.count - 1] = .assignment(name: name, value: value, raw: raw + [newline])
        }
    }

    /// Bare where nothing in it means anything to anybody; else in single quotes, which nobody looks into; else in double
    /// ones.
    package static func quoted(_ value: String) -> String {
        let isPlain = value.utf8.allSatisfy { byte in
            isNameByte(byte) || "-./:@%+,".utf8.contains(byte)
        }
        if isPlain { return value }
        if !value.utf8.contains(where: { "'\n\r".utf8.contains($0) }) { return "'\(value)'" }
        var text = "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"", "\\", "$", "`": text += "\\\(scalar)"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text + "\""
    }

    /// What a shell takes as the name of a variable; of those that programs use, some have dots or hyphens.
    package static func isName(_ name: some StringProtocol) -> Bool {
        guard let first = name.utf8.first, (1...256).contains(name.utf8.count) else { return false }
        return isNameByte(first) && !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first)
            && name.utf8.allSatisfy { isNameByte($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
