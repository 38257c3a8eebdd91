package import ComputeCore

/// Where a webhook is: an `http` or `https` URL, taken apart once, so that nobody reads it another way later.
package struct WebhookURL: Hashable, Sendable {
    package static let maxBytes = 2048

    package var isSecure: Bool
    /// In lower case. A name, an IPv4 address, or an IPv6 address without brackets.
    package var host: String
    package var port: Int
    /// Path and query, with the first slash.
    package var target: String

    /// - Throws: a 400 that names `url`.
    package init(_ text: String) throws(Problem) {
        guard text.utf8.count <= Self.maxBytes, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x5C }) else {
            throw Self.refused("must be visible ASCII without a backslash, at most \(Self.maxBytes) bytes")
        }
        let rest: Substring
        if text.lowercased().hasPrefix("https://") {
            (isSecure, rest) = (true, text.dropFirst(8))
        } else if text.lowercased().hasPrefix("http://") {
            (isSecure, rest) = (false, text.dropFirst(7))
        } else {
            throw Self.refused("must start with https://")
        }
        let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
        let authority = rest[..<end]
        guard !authority.contains("@") else { throw Self.refused("must hold no user and no password") }
        guard !rest.contains("#") else { throw Self.refused("must hold no fragment") }
        (host, port) = try Self.place(authority, standard: isSecure ? 443 : 80)
        target = rest[end...].hasPrefix("/") ? String(rest[end...]) : "/" + rest[end...]
    }

    private static func place(_ authority: Substring, standard: Int) throws(Problem) -> (String, Int) {
        var host = authority
        var port = standard
        // The colon behind an address in brackets, or the only one.
        if let colon = authority.lastIndex(of: ":"), !authority[colon...].contains("]") {
            host = authority[..<colon]
            guard let number = Int(authority[authority.index(after: colon)...]), (1...65535).contains(number) else {
                throw refused("has a port that is none")
            }
            port = number
        }
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard host.contains(":"), host.utf8.allSatisfy({ $0.isHexDigit || $0 == 0x3A || $0 == 0x2E }) else {
                throw refused("has an address that is none")
            }
        } else {
            guard (1...253).contains(host.utf8.count),
                host.utf8.allSatisfy({ ($0 | 0x20).isLowercaseLetter || $0.isDigit || [0x2D, 0x2E, 0x5F].contains($0) })
            else { throw refused("has a host that is none") }
        }
        return (host.lowercased(), port)
    }

    private static func refused(_ text: String) -> Problem { .invalid("url", "url \(text)") }

    private var hostInURL: String { host.contains(":") ? "[\(host)]" : host }
    private var isStandardPort: Bool { port == (isSecure ? 443 : 80) }

    /// Without path and query, which may be secret.
    package var origin: String {
        "\(isSecure ? "https" : "http")://\(hostInURL)\(isStandardPort ? "" : ":\(port)")"
    }
    package var text: String { origin + target }
}

extension UInt8 {
    fileprivate var isHexDigit: Bool { isDigit || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(self | 0x20) }
}
