/// Takes our credential out of a target's query: pairs named exactly `token`, and nothing else. What remains keeps its
/// bytes and order; a name that only decodes to `token` is the upstream's business.
package enum QueryToken {
    /// - Parameter isOurs: whether a pair with this percent-decoded value goes.
    /// - Returns: the target without those pairs, and their values in order.
    package static func cut(
        from target: String, where isOurs: (String) -> Bool = { _ in true }
    ) -> (target: String, tokens: [String]) {
        guard let mark = target.utf8.firstIndex(of: UInt8(ascii: "?")) else { return (target, []) }
        var tokens: [String] = []
        var kept: [Substring] = []
        let query = target.utf8[target.utf8.index(after: mark)...]
        for pair in query.split(separator: UInt8(ascii: "&"), omittingEmptySubsequences: false) {
            let value = pair.starts(with: "token=".utf8) ? percentDecoded(pair.dropFirst(6)) : nil
            if let value, isOurs(value) {
                tokens.append(value)
            } else {
                kept.append(Substring(pair))
            }
        }
        guard !tokens.isEmpty else { return (target, []) }
        let path = String(target[..<mark])
        return (kept.isEmpty ? path : path + "?" + kept.joined(separator: "&"), tokens)
    }

    private static func percentDecoded(_ text: Substring.UTF8View) -> String {
        let bytes = Array(text)
        var out: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count, let high = bytes[index + 1].hexValue,
                let low = bytes[index + 2].hexValue
            {
                out.append(high << 4 | low)
                index += 3
            } else {
                out.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}

extension UInt8 {
    fileprivate var hexValue: UInt8? {
        switch self {
        case 0x30...0x39: self - 0x30
        case 0x41...0x46: self - 0x41 + 10
        case 0x61...0x66: self - 0x61 + 10
        default: nil
        }
    }
}
