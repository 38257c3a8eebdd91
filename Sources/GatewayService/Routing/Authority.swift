/// A host and perhaps a port, as a client names them in `Host`, in an absolute-form target or in `Origin`.
package struct Authority: Hashable, Sendable, CustomStringConvertible {
    /// Lower case, without the dot that may end a DNS name; an IPv6 literal keeps its brackets.
    package let name: String
    package let port: Int?

    /// - Returns: nil for anything that cannot be a host: user information, spaces, control or non-ASCII
    ///   characters (an internationalised name travels as `xn--…`), a port above 65535.
    package init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        guard bytes.count <= 320 else { return nil }
        let nameEnd: Int
        if bytes.first == UInt8(ascii: "[") {
            guard let close = bytes.firstIndex(of: UInt8(ascii: "]")) else { return nil }
            guard bytes[1..<close].allSatisfy(\.isAddressByte), close > 1 else { return nil }
            nameEnd = close + 1
        } else {
            nameEnd = bytes.firstIndex(of: UInt8(ascii: ":")) ?? bytes.count
            guard bytes[..<nameEnd].allSatisfy(\.isNameByte) else { return nil }
        }
        switch bytes[nameEnd...].first {
        case nil: port = nil
        case UInt8(ascii: ":"):
            let digits = bytes[(nameEnd + 1)...]
            guard digits.count <= 5, digits.allSatisfy(\.isASCIIDigit) else { return nil }
            let value = digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
            guard value <= 65535 else { return nil }
            port = digits.isEmpty ? nil : value
        default: return nil
        }
        var name = String(decoding: bytes[..<nameEnd], as: UTF8.self).lowercased()
        if name.hasSuffix(".") { name.removeLast() }
        self.name = name
    }

    package var description: String { port.map { "\(name):\($0)" } ?? name }

    /// Whether both name the same place for a client that speaks `scheme`.
    package func isSame(as other: Authority, scheme: String) -> Bool {
        let usual = scheme == "https" ? 443 : 80
        return name == other.name && (port ?? usual) == (other.port ?? usual)
    }

    /// Whether an `Origin` header names this host and no other.
    package func isOrigin(_ origin: String, scheme: String) -> Bool {
        let prefix = scheme + "://"
        guard origin.hasPrefix(prefix), let other = Authority(origin.dropFirst(prefix.count)) else { return false }
        return isSame(as: other, scheme: scheme)
    }
}

extension UInt8 {
    /// Underscores are no part of a host name, but exist in DNS; such a host is the API's, never a compute's.
    fileprivate var isNameByte: Bool {
        isASCIIDigit || isASCIILetter || self == UInt8(ascii: "-") || self == UInt8(ascii: ".")
            || self == UInt8(ascii: "_")
    }
    fileprivate var isAddressByte: Bool {
        isASCIIDigit || isASCIILetter || self == UInt8(ascii: ":") || self == UInt8(ascii: ".")
    }
    package var isASCIIDigit: Bool { self >= 0x30 && self <= 0x39 }
    package var isASCIILetter: Bool { (self | 0x20) >= 0x61 && (self | 0x20) <= 0x7A }
}
