extension Sequence<UInt8> {
    /// Lower-case hexadecimal.
    package var hex: String {
        var text: [UInt8] = []
        text.reserveCapacity(2 * underestimatedCount)
        for byte in self { text += [(byte >> 4).hexDigit, (byte & 15).hexDigit] }
        return String(decoding: text, as: UTF8.self)
    }
}

extension UInt8 {
    /// Of a number below 16.
    fileprivate var hexDigit: UInt8 { self < 10 ? UInt8(ascii: "0") + self : UInt8(ascii: "a") + self - 10 }
}
