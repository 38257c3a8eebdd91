/// Runs a program over a line, all its ways at once: the time is at most the product of both lengths, whatever the pattern.
struct RegexMachine: Sendable {
    private let program: RegexProgram
    /// The bytes that a match may begin with; nil when it may begin anywhere.
    private let first: RegexProgram.ByteSet?
    // The ways, preferred ones first, with the place where each began.
    private var current: Ways
    private var next: Ways
    private var stack: [Int] = []

    private struct Ways: Sendable {
        var order: [Int] = []
        var starts: [Int]
        /// The step in which an instruction was last reached.
        var marks: [Int]
        init(_ count: Int) {
            starts = Array(repeating: 0, count: count)
            marks = Array(repeating: -1, count: count)
        }
    }

    init(_ program: RegexProgram) {
        self.program = program
        current = Ways(program.instructions.count)
        next = Ways(program.instructions.count)
        first = Self.first(program)
    }

    /// - Returns: the leftmost match; of several there, the one that the pattern prefers.
    mutating func search(_ line: UnsafeRawBufferPointer) -> Range<Int>? {
        var found: Range<Int>?
        current.order.removeAll(keepingCapacity: true)
        for index in current.marks.indices { current.marks[index] = -1 }
        for index in next.marks.indices { next.marks[index] = -1 }
        var position = 0
        while true {
            if current.order.isEmpty {
                if found != nil { return found }
                if let first {
                    while position < line.count, !first.contains(line[position]) { position += 1 }
                    if position == line.count { return nil }
                }
            }
            if found == nil { Self.add(program, &current, &stack, 0, position, position, line) }
            let byte = position < line.count ? line[position] : nil
            var isCut = false
            for instruction in current.order {
                switch program.instructions[instruction] {
                case .match:
                    found = current.starts[instruction]..<position
                    // What comes after it in the order is less preferred.
                    isCut = true
                case .byte(let set):
                    if let byte, program.sets[set].contains(byte) {
                        Self.add(
                            program, &next, &stack, instruction + 1, current.starts[instruction], position + 1, line)
                    }
                default: break
                }
                if isCut { break }
            }
            guard position < line.count else { return found }
            position += 1
            swap(&current, &next)
            next.order.removeAll(keepingCapacity: true)
        }
    }

    /// Follows everything that takes no byte.
    private static func add(
        _ program: RegexProgram, _ ways: inout Ways, _ stack: inout [Int], _ instruction: Int, _ start: Int,
        _ position: Int, _ line: UnsafeRawBufferPointer
    ) {
        stack.append(instruction)
        while let instruction = stack.popLast() {
            guard ways.marks[instruction] != position else { continue }
            ways.marks[instruction] = position
            switch program.instructions[instruction] {
            case .jump(let target): stack.append(target)
            case .split(let preferred, let other):
                stack.append(other)
                stack.append(preferred)
            case .lineStart: if position == 0 { stack.append(instruction + 1) }
            case .lineEnd: if position == line.count { stack.append(instruction + 1) }
            case .wordBoundary(let wanted):
                let before = position > 0 && isWord(line[position - 1])
                let after = position < line.count && isWord(line[position])
                if (before != after) == wanted { stack.append(instruction + 1) }
            case .byte, .match:
                ways.starts[instruction] = start
                ways.order.append(instruction)
            }
        }
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == 95
    }

    private static func first(_ program: RegexProgram) -> RegexProgram.ByteSet? {
        var set = RegexProgram.ByteSet()
        var seen: Set<Int> = []
        var stack = [0]
        while let instruction = stack.popLast() {
            guard seen.insert(instruction).inserted else { continue }
            switch program.instructions[instruction] {
            case .byte(let index): set.formUnion(program.sets[index])
            case .jump(let target): stack.append(target)
            case .split(let one, let other): stack += [one, other]
            case .lineStart, .lineEnd, .wordBoundary, .match: return nil
            }
        }
        return set
    }
}
