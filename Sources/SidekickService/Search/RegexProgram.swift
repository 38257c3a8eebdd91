/// A regular expression as instructions for `RegexMachine`, over the bytes of UTF-8.
struct RegexProgram: Sendable {
    enum Instruction: Sendable {
        /// One byte that is in the set with this index.
        case byte(Int)
        /// Both ways, the first one preferred.
        case split(Int, Int)
        case jump(Int)
        case lineStart
        case lineEnd
        case wordBoundary(Bool)
        case match
    }

    /// Which of the 256 bytes.
    struct ByteSet: Hashable, Sendable {
        private var words: SIMD4<UInt64> = .zero
        mutating func insert(_ byte: UInt8) { words[Int(byte >> 6)] |= 1 << UInt64(byte & 63) }
        func contains(_ byte: UInt8) -> Bool { words[Int(byte >> 6)] & (1 << UInt64(byte & 63)) != 0 }
        mutating func formUnion(_ other: ByteSet) { words |= other.words }
    }

    var instructions: [Instruction] = []
    var sets: [ByteSet] = []

    /// The work for each byte of text grows with this.
    static let maxInstructions = 2000
}

/// What a pattern says, before it is compiled.
indirect enum RegexNode: Sendable {
    case empty
    /// Any scalar of these ranges; sorted and apart.
    case scalars([ClosedRange<UInt32>])
    case sequence([RegexNode])
    case either([RegexNode])
    case repeated(RegexNode, min: Int, max: Int?, greedy: Bool)
    case lineStart
    case lineEnd
    case wordBoundary(Bool)
}

extension RegexProgram {
    struct TooLarge: Error {}

    init(_ node: RegexNode) throws(TooLarge) {
        var known: [ByteSet: Int] = [:]
        try compile(node, &known)
        try append(.match)
    }

    private mutating func append(_ instruction: Instruction) throws(TooLarge) {
        guard instructions.count < Self.maxInstructions else { throw TooLarge() }
        instructions.append(instruction)
    }

    private mutating func compile(_ node: RegexNode, _ known: inout [ByteSet: Int]) throws(TooLarge) {
        switch node {
        case .empty: break
        case .lineStart: try append(.lineStart)
        case .lineEnd: try append(.lineEnd)
        case .wordBoundary(let wanted): try append(.wordBoundary(wanted))
        case .sequence(let nodes): for node in nodes { try compile(node, &known) }
        case .either(let nodes):
            try either(nodes.count, &known) { (program, index, known) throws(TooLarge) in
                try program.compile(nodes[index], &known)
            }
        case .scalars(let ranges): try scalars(ranges, &known)
        case .repeated(let node, let min, let max, let greedy): try repeated(node, min, max, greedy, &known)
        }
    }

    /// Alternatives, tried in their order.
    private mutating func either(
        _ count: Int, _ known: inout [ByteSet: Int],
        _ branch: (inout RegexProgram, Int, inout [ByteSet: Int]) throws(TooLarge) -> Void
    ) throws(TooLarge) {
        var ends: [Int] = []
        for index in 0..<count {
            let split = instructions.count
            if index < count - 1 { try append(.split(split + 1, 0)) }
            try branch(&self, index, &known)
            guard index < count - 1 else { break }
            ends.append(instructions.count)
            try append(.jump(0))
            instructions[split] = .split(split + 1, instructions.count)
        }
        for end in ends { instructions[end] = .jump(instructions.count) }
    }

    private mutating func repeated(
        _ node: RegexNode, _ min: Int, _ max: Int?, _ greedy: Bool, _ known: inout [ByteSet: Int]
    ) throws(TooLarge) {
        for _ in 0..<min {
            let before = instructions.count
            try compile(node, &known)
            // Nothing, however often: else `(){1000}{1000}{1000}` would keep us here.
            if instructions.count == before { return }
        }
        guard let max else {
            // a*: L: split(body, out); body; jump L
            let loop = instructions.count
            try append(.split(0, 0))
            try compile(node, &known)
            try append(.jump(loop))
            let out = instructions.count
            instructions[loop] = greedy ? .split(loop + 1, out) : .split(out, loop + 1)
            return
        }
        var splits: [Int] = []
        for _ in 0..<Swift.max(max - min, 0) {
            splits.append(instructions.count)
            try append(.split(0, 0))
            try compile(node, &known)
        }
        let out = instructions.count
        for split in splits { instructions[split] = greedy ? .split(split + 1, out) : .split(out, split + 1) }
    }

    private mutating func scalars(_ ranges: [ClosedRange<UInt32>], _ known: inout [ByteSet: Int]) throws(TooLarge) {
        let sequences = UTF8Ranges.sequences(ranges)
        // Those of one byte are one set.
        var single = ByteSet()
        var hasSingle = false
        var longer: [[ClosedRange<UInt8>]] = []
        for sequence in sequences {
            if sequence.count == 1 {
                hasSingle = true
                for byte in sequence[0] { single.insert(byte) }
            } else {
                longer.append(sequence)
            }
        }
        let count = longer.count + (hasSingle ? 1 : 0)
        guard count > 0 else {
            // No scalar fits: a set that no byte is in.
            return try append(.byte(index(ByteSet(), &known)))
        }
        let singleSet = single
        let isSingleThere = hasSingle
        let multi = longer
        try either(count, &known) { (program, branch, known) throws(TooLarge) in
            if isSingleThere, branch == 0 {
                return try program.append(.byte(program.index(singleSet, &known)))
            }
            for range in multi[isSingleThere ? branch - 1 : branch] {
                var set = ByteSet()
                for byte in range { set.insert(byte) }
                try program.append(.byte(program.index(set, &known)))
            }
        }
    }

    private mutating func index(_ set: ByteSet, _ known: inout [ByteSet: Int]) -> Int {
        if let index = known[set] { return index }
        sets.append(set)
        known[set] = sets.count - 1
        return sets.count - 1
    }
}

/// Ranges of scalars as sequences of ranges of bytes.
enum UTF8Ranges {
    static func sequences(_ ranges: [ClosedRange<UInt32>]) -> [[ClosedRange<UInt8>]] {
        var sequences: [[ClosedRange<UInt8>]] = []
        for range in ranges { split(range.lowerBound, range.upperBound, &sequences) }
        return sequences
    }

    private static func split(_ low: UInt32, _ high: UInt32, _ sequences: inout [[ClosedRange<UInt8>]]) {
        guard low <= high else { return }
        // Surrogates have no UTF-8.
        if low <= 0xDFFF, high >= 0xD800 {
            if low < 0xD800 { split(low, 0xD7FF, &sequences) }
            if high > 0xDFFF { split(0xE000, high, &sequences) }
            return
        }
        for limit: UInt32 in [0x7F, 0x7FF, 0xFFFF] where low <= limit && high > limit {
            split(low, limit, &sequences)
            split(limit + 1, high, &sequences)
            return
        }
        // Of one length now. Where only some continuation bytes may follow, the range falls into up to three.
        if high > 0x7F {
            for index in 1..<UInt32(4) {
                let mask = (UInt32(1) << (6 * index)) - 1
                guard low & ~mask != high & ~mask else { continue }
                if low & mask != 0 {
                    split(low, low | mask, &sequences)
                    split((low | mask) + 1, high, &sequences)
                    return
                }
                if high & mask != mask {
                    split(low, (high & ~mask) - 1, &sequences)
                    split(high & ~mask, high, &sequences)
                    return
                }
            }
        }
        guard let first = Unicode.Scalar(low), let last = Unicode.Scalar(high) else { return }
        sequences.append(zip(String(first).utf8, String(last).utf8).map { $0...$1 })
    }
}
