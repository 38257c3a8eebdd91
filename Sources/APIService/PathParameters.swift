import ComputeCore
import Hummingbird

extension RequestContext {
    /// What stands in the path at `:name`, decoded once. What does not decode is what it says, and names nothing.
    func parameter(_ name: String) -> String? {
        guard let raw = parameters.get(name) else { return nil }
        guard raw.utf8.contains(UInt8(ascii: "%")) else { return raw }
        guard let text = Substring(raw).percentDecoded, !text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
            return raw
        }
        return text
    }
}

extension Substring {
    /// The router decodes values of a query only. nil for what is not UTF-8.
    var percentDecoded: String? {
        var bytes: [UInt8] = []
        var rest = utf8[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(2)
            if byte == UInt8(ascii: "%"), digits.count == 2, digits.allSatisfy({ $0.isHexDigit }),
                let decoded = UInt8(String(Substring(digits)), radix: 16)
            {
                bytes.append(decoded)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }
}

extension UInt8 {
    /// A sign is none, though a number in base 16 may begin with one.
    fileprivate var isHexDigit: Bool { isDigit || (0x41...0x46).contains(self) || (0x61...0x66).contains(self) }
}
