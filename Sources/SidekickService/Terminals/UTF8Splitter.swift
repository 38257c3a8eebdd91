/// Cuts a stream of bytes into texts without cutting a character: an incomplete tail waits for the rest.
package struct UTF8Splitter: Sendable {
    /// At most 3 bytes: the start of a character.
    private var tail: [UInt8] = []

    package init() {}

    /// Bytes that can never become a character come out as U+FFFD at once.
    package mutating func split(_ bytes: UnsafeRawBufferPointer) -> String {
        var all = tail
        all.append(contentsOf: bytes)
        let end = Self.completePrefix(of: all)
        tail = Array(all[end...])
        return String(decoding: all[..<end], as: UTF8.self)
    }

    /// What is left when no more will come.
    package mutating func finish() -> String {
        defer { tail = [] }
        return String(decoding: tail, as: UTF8.self)
    }

    /// How many bytes remain when a character that has only begun is left off the end.
    package static func completePrefix(of bytes: [UInt8]) -> Int {
        var start = bytes.count
        // A character has at most 3 bytes after its first.
        for back in 1...3 where back <= bytes.count {
            let byte = bytes[bytes.count - back]
            if byte & 0b1100_0000 == 0b1000_0000 { continue }
            if length(startingWith: byte) > back, canContinue(bytes[(bytes.count - back)...]) {
                start = bytes.count - back
            }
            break
        }
        return start
    }

    private static func length(startingWith byte: UInt8) -> Int {
        switch byte {
        case 0xC2...0xDF: 2
        case 0xE0...0xEF: 3
        case 0xF0...0xF4: 4
        default: 1
        }
    }

    /// Some second bytes make a sequence hopeless (overlong forms, surrogates, above U+10FFFF).
    private static func canContinue(_ sequence: ArraySlice<UInt8>) -> Bool {
        guard sequence.count > 1 else { return true }
        let second = sequence[sequence.startIndex + 1]
        switch sequence[sequence.startIndex] {
        case 0xE0: return second >= 0xA0
        case 0xED: return second <= 0x9F
        case 0xF0: return second >= 0x90
        case 0xF4: return second <= 0x8F
        default: return true
        }
    }
}
