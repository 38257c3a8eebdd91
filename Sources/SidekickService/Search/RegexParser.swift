import ComputeCore

/// Reads the common part of regular expressions: what matches in time that grows with the text alone. References back and
/// looking around are refused.
struct RegexParser {
    private var rest: Substring.UnicodeScalarView
    private let field: String
    private var depth = 0

    /// Repetitions are written out.
    static let maxRepetition = 1000
    static let maxDepth = 100
    static let maxBytes = 4096

    static func parse(_ pattern: String, field: String = "pattern") throws(Problem) -> RegexNode {
        guard pattern.utf8.count <= maxBytes else {
            throw .invalid(field, "\(field) is longer than \(maxBytes) bytes")
        }
        var parser = RegexParser(rest: Substring(pattern).unicodeScalars, field: field)
        let node = try parser.alternatives()
        guard parser.rest.isEmpty else { throw parser.broken("a ) without a (") }
        return node
    }

    private init(rest: Substring.UnicodeScalarView, field: String) {
        self.rest = rest
        self.field = field
    }

    private func broken(_ what: String) -> Problem { .invalid(field, "\(field) is no regular expression: \(what)") }

    private mutating func alternatives() throws(Problem) -> RegexNode {
        depth += 1
        guard depth <= Self.maxDepth else { throw broken("too many parentheses in each other") }
        defer { depth -= 1 }
        var branches = [try sequence()]
        while rest.first == "|" {
            rest.removeFirst()
            branches.append(try sequence())
        }
        return branches.count == 1 ? branches[0] : .either(branches)
    }

    private mutating func sequence() throws(Problem) -> RegexNode {
        var nodes: [RegexNode] = []
        while let scalar = rest.first, scalar != "|", scalar != ")" {
            let atom = try atom()
            nodes.append(try repetition(of: atom))
        }
        return nodes.count == 1 ? nodes[0] : .sequence(nodes)
    }

    private mutating func repetition(of atom: RegexNode) throws(Problem) -> RegexNode {
        var node = atom
        while let scalar = rest.first {
            let bounds: (Int, Int?)
            switch scalar {
            case "*": bounds = (0, nil)
            case "+": bounds = (1, nil)
            case "?": bounds = (0, 1)
            case "{":
                // A brace that is no repetition stands for itself, as in most dialects.
                guard let counted = try counted() else { return node }
                bounds = counted
                node = .repeated(node, min: bounds.0, max: bounds.1, greedy: !skip("?"))
                continue
            default: return node
            }
            rest.removeFirst()
            node = .repeated(node, min: bounds.0, max: bounds.1, greedy: !skip("?"))
        }
        return node
    }

    /// `{2}`, `{2,}`, `{2,5}`, taken off; nil, with nothing taken, for other braces.
    private mutating func counted() throws(Problem) -> (Int, Int?)? {
        guard let close = rest.firstIndex(of: "}") else { return nil }
        let text = String(rest[rest.index(after: rest.startIndex)..<close])
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), !parts[0].isEmpty,
            text.utf8.allSatisfy({ $0.isDigit || $0 == UInt8(ascii: ",") })
        else { return nil }
        rest = rest[rest.index(after: close)...]
        let low = Int(parts[0]) ?? .max
        let high: Int? = parts.count == 1 ? low : parts[1].isEmpty ? nil : Int(parts[1]) ?? .max
        guard low <= Self.maxRepetition, high ?? 0 <= Self.maxRepetition else {
            throw broken("more than \(Self.maxRepetition) repetitions")
        }
        guard high.map({ low <= $0 }) ?? true else { throw broken("{\(text)} runs backwards") }
        return (low, high)
    }

    private mutating func skip(_ scalar: Unicode.Scalar) -> Bool {
        guard rest.first == scalar else { return false }
        rest.removeFirst()
        return true
    }

    private mutating func atom() throws(Problem) -> RegexNode {
        let scalar = rest.removeFirst()
        switch scalar {
        case "^": return .lineStart
        case "$": return .lineEnd
        case ".": return .scalars([0...9, 11...0x10FFFF])
        case "(": return try group()
        case "[": return .scalars(try set())
        case "*", "+", "?": throw broken("nothing before \(scalar)")
        case "\\":
            guard let escaped = rest.popFirst() else { throw broken("it ends in the middle of an escape") }
            switch escaped {
            case "b": return .wordBoundary(true)
            case "B": return .wordBoundary(false)
            case "A": return .lineStart
            case "z", "Z": return .lineEnd
            default: return .scalars(try escape(escaped))
            }
        default: return .scalars([scalar.value...scalar.value])
        }
    }

    private mutating func group() throws(Problem) -> RegexNode {
        if skip("?") {
            if skip("P") || rest.first == "<" {
                guard skip("<"), let first = rest.first, first != "=", first != "!" else {
                    throw broken("looking behind is not supported")
                }
                guard let close = rest.firstIndex(of: ">") else { throw broken("a name without an end") }
                rest = rest[rest.index(after: close)...]
            } else if !skip(":") {
                throw broken("(?\(rest.first.map { String($0) } ?? "") is not supported")
            }
        }
        let node = try alternatives()
        guard skip(")") else { throw broken("a ( without a )") }
        return node
    }

    private mutating func set() throws(Problem) -> [ClosedRange<UInt32>] {
        let negated = skip("^")
        var ranges: [ClosedRange<UInt32>] = []
        var isFirst = true
        while true {
            guard let scalar = rest.popFirst() else { throw broken("a [ without a ]") }
            if scalar == "]", !isFirst { break }
            if scalar == "[", rest.first == ":" { throw broken("named sets such as [:alpha:] are not supported") }
            isFirst = false
            var low = [scalar.value...scalar.value]
            if scalar == "\\" {
                guard let escaped = rest.popFirst() else { throw broken("a [ without a ]") }
                low = escaped == "b" ? [8...8] : try escape(escaped)
            }
            guard rest.first == "-", let next = rest.dropFirst().first, next != "]", low.count == 1, low[0].count == 1
            else {
                ranges += low
                continue
            }
            rest.removeFirst(2)
            var high = next.value
            if next == "\\" {
                guard let escaped = rest.popFirst() else { throw broken("a [ without a ]") }
                let ends = try escape(escaped)
                guard ends.count == 1, ends[0].count == 1 else { throw broken("a range that ends in a set") }
                high = ends[0].lowerBound
            }
            guard low[0].lowerBound <= high else { throw broken("a range that runs backwards") }
            ranges.append(low[0].lowerBound...high)
        }
        let merged = Self.merged(ranges)
        return negated ? Self.inverted(merged) : merged
    }

    private mutating func escape(_ scalar: Unicode.Scalar) throws(Problem) -> [ClosedRange<UInt32>] {
        switch scalar {
        case "d": return Self.digits
        case "D": return Self.inverted(Self.digits)
        case "w": return Self.word
        case "W": return Self.inverted(Self.word)
        case "s": return Self.space
        case "S": return Self.inverted(Self.space)
        case "t": return [9...9]
        case "n": return [10...10]
        case "v": return [11...11]
        case "f": return [12...12]
        case "r": return [13...13]
        case "0": return [0...0]
        case "x", "u":
            var digits = ""
            let isBraced = skip("{")
            let width = scalar == "x" ? 2 : 4
            while isBraced || digits.utf8.count < width, let next = rest.popFirst(), next != "}" {
                digits.unicodeScalars.append(next)
            }
            // By digits alone: a number may have a sign.
            guard isBraced ? (1...6).contains(digits.utf8.count) : digits.utf8.count == width,
                digits.allSatisfy(\.isHexDigit), let value = UInt32(digits, radix: 16), Unicode.Scalar(value) != nil
            else { throw broken("\\\(scalar) without a character's number") }
            return [value...value]
        default:
            guard scalar.isASCII, !scalar.properties.isAlphabetic, !("1"..."9").contains(scalar) else {
                throw broken("\\\(scalar) is not supported")
            }
            return [scalar.value...scalar.value]
        }
    }

    private static let digits: [ClosedRange<UInt32>] = [48...57]
    private static let word: [ClosedRange<UInt32>] = [48...57, 65...90, 95...95, 97...122]
    private static let space: [ClosedRange<UInt32>] = [9...13, 32...32]

    static func merged(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
        var merged: [ClosedRange<UInt32>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = merged.last, range.lowerBound <= last.upperBound &+ 1 {
                merged[merged.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                merged.append(range)
            }
        }
        return merged
    }

    private static func inverted(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
        var inverted: [ClosedRange<UInt32>] = []
        var next: UInt32 = 0
        for range in ranges {
            if range.lowerBound > next { inverted.append(next...range.lowerBound - 1) }
            next = range.upperBound + 1
        }
        if next <= 0x10FFFF { inverted.append(next...0x10FFFF) }
        return inverted
    }
}

extension RegexNode {
    /// The same for letters of either case, of ASCII.
    var ignoringCase: RegexNode {
        switch self {
        case .empty, .lineStart, .lineEnd, .wordBoundary: self
        case .sequence(let nodes): .sequence(nodes.map(\.ignoringCase))
        case .either(let nodes): .either(nodes.map(\.ignoringCase))
        case .repeated(let node, let min, let max, let greedy):
            .repeated(node.ignoringCase, min: min, max: max, greedy: greedy)
        case .scalars(let ranges): .scalars(RegexParser.merged(ranges + ranges.flatMap(Self.otherCase)))
        }
    }

    private static func otherCase(_ range: ClosedRange<UInt32>) -> [ClosedRange<UInt32>] {
        let upper: ClosedRange<UInt32> = 65...90
        let lower: ClosedRange<UInt32> = 97...122
        var others: [ClosedRange<UInt32>] = []
        if range.overlaps(upper) {
            let both = range.clamped(to: upper)
            others.append(both.lowerBound + 32...both.upperBound + 32)
        }
        if range.overlaps(lower) {
            let both = range.clamped(to: lower)
            others.append(both.lowerBound - 32...both.upperBound - 32)
        }
        return others
    }
}
