/// The numbers of zip.
struct ByteWriter {
    private(set) var bytes: [UInt8] = []

    mutating func u8(_ number: UInt8) { bytes.append(number) }
    mutating func u16(_ number: UInt16) { append(UInt64(number), 2) }
    mutating func u32(_ number: UInt32) { append(UInt64(number), 4) }
    mutating func u64(_ number: UInt64) { append(number, 8) }
    mutating func raw(_ more: some Sequence<UInt8>) { bytes += more }

    private mutating func append(_ number: UInt64, _ count: Int) {
        for index in 0..<count { bytes.append(UInt8(truncatingIfNeeded: number >> (8 * UInt64(index)))) }
    }
}

/// Reads from a slice and never beyond it.
struct ByteReader {
    private(set) var rest: ArraySlice<UInt8>
    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    mutating func number(_ count: Int) -> UInt64? {
        guard rest.count >= count else { return nil }
        var number: UInt64 = 0
        for (index, byte) in rest.prefix(count).enumerated() { number |= UInt64(byte) << (8 * UInt64(index)) }
        rest = rest.dropFirst(count)
        return number
    }
    mutating func u16() -> UInt16? { number(2).map { UInt16($0) } }
    mutating func u32() -> UInt32? { number(4).map { UInt32($0) } }
    mutating func u64() -> UInt64? { number(8) }
    mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard count >= 0, rest.count >= count else { return nil }
        let piece = rest.prefix(count)
        rest = rest.dropFirst(count)
        return piece
    }
}
