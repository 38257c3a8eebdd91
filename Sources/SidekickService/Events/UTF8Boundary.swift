/// Where a stream of bytes may be cut without cutting a character.
package enum UTF8Boundary {
    /// How many bytes remain when a character that has only begun is left off the end. Bytes that can never become a
    /// character count as whole.
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
