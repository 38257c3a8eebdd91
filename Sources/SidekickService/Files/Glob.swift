package import ComputeCore

/// A pattern for relative paths, read like a line of `.gitignore` without negation.
///
///     *.log            any component of that form, at any depth
///     /build           only at the top; so does every pattern with a slash inside, `src/*.c`
///     **/x  a/**  a/**/b   any number of components, at the end at least one
///     ?  [a-z]  [!a-z]  \*   one character, one of a set, one not of it, the character itself
///
/// What a pattern matches, it matches with everything below it. Names that begin with a dot are like others. Matching takes
/// at most the product of both lengths: no pattern is a way to make us work for ever.
package struct Glob: Hashable, Sendable, CustomStringConvertible {
    package let description: String
    private let components: [Component]

    /// Longer than any pattern that a person writes.
    static let maxBytes = 1024

    private enum Component: Hashable, Sendable {
        /// `**`: none, one or several components.
        case anyDepth
        case name([Token])
    }

    private enum Token: Hashable, Sendable {
        case scalar(UInt32)
        case anyScalar
        case anyRun
        case set([ClosedRange<UInt32>], negated: Bool)
    }

    /// - Throws: a 400 that names `field`.
    package init(_ pattern: String, field: String = "glob") throws(Problem) {
        guard pattern.utf8.count <= Self.maxBytes else {
            throw .invalid(field, "\(field) holds a pattern of more than \(Self.maxBytes) bytes")
        }
        // By scalars: a combining mark behind it makes a slash another Character.
        var parts = pattern.unicodeScalars.split(separator: "/", omittingEmptySubsequences: false).map {
            Substring($0)
        }[...]
        let isRooted = parts.count > 1 && parts.first?.isEmpty == true
        // A slash at the end says "a directory"; whoever asks with a path alone cannot tell, and needs not.
        while parts.last?.isEmpty == true { parts = parts.dropLast() }
        while parts.first?.isEmpty == true || parts.first == "." { parts = parts.dropFirst() }
        guard !parts.isEmpty else { throw .invalid(field, "\(field) holds an empty pattern") }

        var components: [Component] = isRooted || parts.count > 1 ? [] : [.anyDepth]
        for part in parts where !part.isEmpty && part != "." {
            guard part != ".." else { throw .invalid(field, "\(field) must not contain \"..\"") }
            if part != "**" {
                components.append(.name(try Self.tokens(part, pattern, field)))
            } else if components.last != .anyDepth {
                components.append(.anyDepth)
            }
        }
        if components.last == .anyDepth {
            // `a/**` is what is in `a`, not `a`.
            components.insert(.name([.anyRun]), at: components.count - 1)
        } else {
            components.append(.anyDepth)
        }
        self.components = components
        description = pattern
    }

    /// - Parameter relativePath: without a slash at its ends.
    package func matches(_ relativePath: String) -> Bool {
        let path = relativePath.unicodeScalars.split(separator: "/").map { $0.map(\.value) }.filter { $0 != [0x2E] }
        guard !path.isEmpty else { return false }
        return Self.matches(components, path, isRun: { $0 == .anyDepth }) { component, name in
            guard case .name(let tokens) = component else { return false }
            return Self.matches(tokens, name, isRun: { $0 == .anyRun }, fits: Self.fits)
        }
    }

    private static func fits(_ token: Token, _ scalar: UInt32) -> Bool {
        switch token {
        case .scalar(let wanted): wanted == scalar
        case .anyScalar, .anyRun: true
        case .set(let ranges, let negated): ranges.contains { $0.contains(scalar) } != negated
        }
    }

    /// Pieces against elements, where some pieces stand for any run of elements. On a mismatch only the last such run is
    /// made longer: an earlier one could reach nothing that the last cannot.
    private static func matches<Piece, Element>(
        _ pieces: [Piece], _ elements: [Element], isRun: (Piece) -> Bool, fits: (Piece, Element) -> Bool
    ) -> Bool {
        var piece = 0
        var element = 0
        var lastRun: (piece: Int, element: Int)?
        while element < elements.count {
            if piece < pieces.count, isRun(pieces[piece]) {
                lastRun = (piece, element)
                piece += 1
            } else if piece < pieces.count, fits(pieces[piece], elements[element]) {
                piece += 1
                element += 1
            } else if let run = lastRun {
                lastRun = (run.piece, run.element + 1)
                piece = run.piece + 1
                element = run.element + 1
            } else {
                return false
            }
        }
        return pieces[piece...].allSatisfy(isRun)
    }
}

// MARK: - Reading a pattern

extension Glob {
    private static func tokens(_ text: Substring, _ pattern: String, _ field: String) throws(Problem) -> [Token] {
        var tokens: [Token] = []
        var rest = text.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            switch scalar {
            case "*": if tokens.last != .anyRun { tokens.append(.anyRun) }
            case "?": tokens.append(.anyScalar)
            case "[": tokens.append(try set(&rest, pattern, field))
            case "\\":
                guard let escaped = rest.popFirst() else {
                    throw .invalid(field, "the pattern \(pattern) ends in the middle of an escape")
                }
                tokens.append(.scalar(escaped.value))
            case "\0": throw .invalid(field, "\(field) must not contain a NUL")
            default: tokens.append(.scalar(scalar.value))
            }
        }
        return tokens
    }

    private static func set(
        _ rest: inout Substring.UnicodeScalarView, _ pattern: String, _ field: String
    ) throws(Problem) -> Token {
        let unclosed = Problem.invalid(field, "the pattern \(pattern) has a [ without a ]")
        let negated = rest.first == "!" || rest.first == "^"
        if negated { rest.removeFirst() }
        var ranges: [ClosedRange<UInt32>] = []
        var isFirst = true
        while true {
            guard var low = rest.popFirst() else { throw unclosed }
            // As the first one it stands for itself.
            if low == "]", !isFirst { return .set(ranges, negated: negated) }
            isFirst = false
            if low == "\\" {
                guard let escaped = rest.popFirst() else { throw unclosed }
                low = escaped
            }
            var high = low
            if rest.first == "-", let next = rest.dropFirst().first, next != "]" {
                rest.removeFirst(2)
                high = next
                if next == "\\" {
                    guard let escaped = rest.popFirst() else { throw unclosed }
                    high = escaped
                }
            }
            guard low <= high else { throw .invalid(field, "the pattern \(pattern) has a range that runs backwards") }
            ranges.append(low.value...high.value)
        }
    }
}

/// Several patterns, of which one is enough.
package struct GlobSet: Hashable, Sendable {
    package let globs: [Glob]

    static let maxPatterns = 256

    /// - Throws: a 400 that names `field`.
    package init(_ patterns: [String], field: String = "ignore") throws(Problem) {
        guard patterns.count <= Self.maxPatterns else {
            throw .invalid(field, "\(field) holds more than \(Self.maxPatterns) patterns")
        }
        var globs: [Glob] = []
        for pattern in patterns { globs.append(try Glob(pattern, field: field)) }
        self.globs = globs
    }

    package var isEmpty: Bool { globs.isEmpty }

    package func matches(_ relativePath: String) -> Bool { globs.contains { $0.matches(relativePath) } }
}

extension FieldReader {
    /// The patterns of an array of strings, or of one string.
    package func globs(_ name: String) throws(Problem) -> GlobSet {
        switch value(name) {
        case nil: return try GlobSet([], field: path(name))
        case .string(let text)?: return try GlobSet([text], field: path(name))
        default: break
        }
        var patterns: [String] = []
        for item in try array(name) ?? [] {
            guard case .string(let text) = item else {
                throw .invalid(path(name), "\(path(name)) must be an array of strings")
            }
            patterns.append(text)
        }
        return try GlobSet(patterns, field: path(name))
    }
}
