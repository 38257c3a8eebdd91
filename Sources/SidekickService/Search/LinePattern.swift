package import ComputeCore
import Glibc

/// What a line is searched for. With `ignoringCase`, letters of ASCII are the same in both cases.
package struct LinePattern: Sendable {
    private enum Kind: Sendable {
        case text([UInt8], ignoringCase: Bool)
        case regex(RegexMachine)
    }
    private var kind: Kind

    static let maxTextBytes = 4096

    package init(_ pattern: String, isRegex: Bool, ignoringCase: Bool) throws(Problem) {
        guard !pattern.isEmpty else { throw .invalid("pattern", "pattern must not be empty") }
        guard isRegex else {
            guard pattern.utf8.count <= Self.maxTextBytes else {
                throw .invalid("pattern", "pattern is longer than \(Self.maxTextBytes) bytes")
            }
            guard !pattern.utf8.contains(where: { $0 == 10 || $0 == 0 }) else {
                throw .invalid(
                    "pattern", "pattern must not contain a line break or a NUL: lines are searched one by one")
            }
            let bytes = Array(pattern.utf8)
            kind = .text(ignoringCase ? bytes.map(Self.folded) : bytes, ignoringCase: ignoringCase)
            return
        }
        let node = try RegexParser.parse(pattern)
        do throws(RegexProgram.TooLarge) {
            kind = .regex(RegexMachine(try RegexProgram(ignoringCase ? node.ignoringCase : node)))
        } catch {
            throw .invalid("pattern", "pattern is too complex: its repetitions make it too long")
        }
    }

    /// - Returns: the leftmost match, in bytes.
    package mutating func search(_ line: UnsafeRawBufferPointer) -> Range<Int>? {
        switch kind {
        case .text(let text, false):
            guard let start = line.baseAddress else { return nil }
            var position = 0
            while position + text.count <= line.count,
                let hit = memchr(start + position, Int32(text[0]), line.count - text.count - position + 1)
            {
                let offset = UnsafeRawPointer(hit) - start
                if memcmp(start + offset, text, text.count) == 0 { return offset..<offset + text.count }
                position = offset + 1
            }
            return nil
        case .text(let text, true):
            guard line.count >= text.count else { return nil }
            for start in 0...line.count - text.count {
                var index = 0
                while index < text.count, Self.folded(line[start + index]) == text[index] { index += 1 }
                if index == text.count { return start..<start + index }
            }
            return nil
        case .regex(var machine):
            // Not copied: the machine is taken out while it works.
            kind = .text([], ignoringCase: false)
            defer { kind = .regex(machine) }
            return machine.search(line)
        }
    }

    private static func folded(_ byte: UInt8) -> UInt8 { (65...90).contains(byte) ? byte + 32 : byte }
}
