import FoundationEssentials

// RFC 4648 §5 without padding: what tokens, cursors and keys are written in.

extension Sequence<UInt8> {
    package var base64URL: String {
        let bytes = Data(self).base64EncodedData().compactMap { byte -> UInt8? in
            switch byte {
            case UInt8(ascii: "+"): UInt8(ascii: "-")
            case UInt8(ascii: "/"): UInt8(ascii: "_")
            case UInt8(ascii: "="): nil
            default: byte
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension [UInt8] {
    /// nil for anything that `base64URL` does not write: padding, the other alphabet, spaces, and set bits behind the
    /// last byte. So each value has one spelling, and a changed character is always a changed value.
    package init?(base64URL text: some StringProtocol) {
        var standard = text.utf8.map { byte -> UInt8 in
            switch byte {
            case UInt8(ascii: "-"): UInt8(ascii: "+")
            case UInt8(ascii: "_"): UInt8(ascii: "/")
            default: byte
            }
        }
        standard += Array(repeating: UInt8(ascii: "="), count: (4 - standard.count % 4) % 4)
        guard let bytes = Data(base64Encoded: Data(standard)), bytes.base64URL.utf8.elementsEqual(text.utf8) else {
            return nil
        }
        self = Array(bytes)
    }
}
