import Glibc
import LinuxSystem

/// Looks through one file line by line, in pieces. Memory is bounded by the longest line that is looked at.
struct LineScanner: ~Copyable {
    /// What is beyond that in a line is not searched.
    static let maxLineBytes = 32 << 10
    /// Of a line, in the answer.
    static let maxShownBytes = 1000
    static let pieceBytes = 64 << 10
    /// A NUL in the beginning is what tells binary files from text.
    private static let sniffedBytes = 8 << 10

    private let file: SharedDescriptor
    private let context: Int
    private var pattern: LinePattern
    /// The begin of a line whose end is in the next piece.
    private var partial: [UInt8] = []
    private var isPartialCut = false
    private var number = 0
    private var before: [String] = []
    /// Found, and waiting for the lines after it.
    private var waiting: [(line: SearchResult.Line, missing: Int)] = []
    private var found: [SearchResult.Line] = []
    private var isFirst = true
    private(set) var isBinary = false

    init(_ file: SharedDescriptor, _ pattern: LinePattern, context: Int) {
        self.file = file
        self.pattern = pattern
        self.context = context
    }

    /// Looks through one piece.
    /// - Returns: false at the end.
    mutating func step() throws(LinuxSystemError) -> Bool {
        let bytes = try file.read(at: nil, upTo: Self.pieceBytes, "")
        if isFirst {
            isFirst = false
            if bytes.prefix(Self.sniffedBytes).contains(0) {
                isBinary = true
                return false
            }
        }
        guard !bytes.isEmpty else {
            if !partial.isEmpty || isPartialCut { end() }
            found += waiting.map(\.line)
            waiting = []
            return false
        }
        var start = 0
        while start < bytes.count {
            let newline = bytes[start...].firstIndex(of: 10)
            let room = Self.maxLineBytes - partial.count
            let piece = bytes[start..<(newline ?? bytes.count)]
            if piece.count > room { isPartialCut = true }
            partial += piece.prefix(room)
            guard let newline else { break }
            end()
            start = newline + 1
        }
        return true
    }

    mutating func take() -> [SearchResult.Line] {
        defer { found = [] }
        return found
    }

    private mutating func end() {
        number += 1
        if partial.last == 13 { partial.removeLast() }
        let match = partial.withUnsafeBytes { pattern.search($0) }
        if context > 0 || match != nil {
            let shown = Self.shown(partial[...], around: match?.lowerBound ?? 0)
            for index in waiting.indices {
                waiting[index].line.after.append(shown.text)
                waiting[index].missing -= 1
            }
            while let first = waiting.first, first.missing == 0 {
                found.append(first.line)
                waiting.removeFirst()
            }
            if let match {
                let line = SearchResult.Line(
                    number: number, text: shown.text, column: match.lowerBound - shown.start + 1, length: match.count,
                    before: before)
                if context > 0 { waiting.append((line, context)) } else { found.append(line) }
            }
            if context > 0 {
                before.append(shown.text)
                if before.count > context { before.removeFirst() }
            }
        }
        partial.removeAll(keepingCapacity: true)
        isPartialCut = false
    }

    /// A long line is shown from a little before the match.
    private static func shown(_ line: ArraySlice<UInt8>, around match: Int) -> (text: String, start: Int) {
        guard line.count > maxShownBytes else { return (String(decoding: line, as: UTF8.self), 0) }
        var start = max(0, min(match - 100, line.count - maxShownBytes))
        // Not in the middle of a character.
        while start > 0, line[start] & 0xC0 == 0x80 { start -= 1 }
        var end = min(start + maxShownBytes, line.count)
        while end > start, end < line.count, line[end] & 0xC0 == 0x80 { end -= 1 }
        return (String(decoding: line[start..<end], as: UTF8.self), start)
    }
}
