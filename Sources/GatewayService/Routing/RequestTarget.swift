package import ComputeCore

/// A raw request target (RFC 9112 §3.2), split but never decoded, normalised or rebuilt.
package struct RequestTarget: Equatable, Sendable {
    /// Of an absolute-form target; wins over `Host`.
    package var absolute: Absolute?
    /// What goes upstream: path and query, byte for byte. `*` for `OPTIONS *`.
    package var origin: String

    package struct Absolute: Equatable, Sendable {
        var scheme: String
        var authority: Authority
    }

    package init(_ raw: String) throws(Problem) {
        // U+FFFD is what the parser below us makes of bytes that are no UTF-8: what was sent is lost then.
        guard raw.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "#") }),
            !raw.unicodeScalars.contains("\u{FFFD}")
        else {
            throw .malformed("the request target holds a character that must be percent-encoded")
        }
        if raw.utf8.first == UInt8(ascii: "/") || raw == "*" {
            origin = raw
            return
        }
        guard let colon = raw.utf8.firstIndex(of: UInt8(ascii: ":")), raw[colon...].startsWithBytes("://") else {
            throw .malformed("the request target must begin with / or be a full http:// address")
        }
        let scheme = raw[..<colon].lowercased()
        guard scheme == "http" || scheme == "https" else {
            throw .malformed("the request target has a scheme other than http and https")
        }
        let rest = raw[raw.utf8.index(colon, offsetBy: 3)...]
        let end = rest.utf8.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? rest.endIndex
        guard let authority = Authority(rest[..<end]), !authority.name.isEmpty else {
            throw .malformed("the request target names no valid host")
        }
        absolute = Absolute(scheme: scheme, authority: authority)
        let tail = String(rest[end...])
        origin = tail.startsWithBytes("/") ? tail : "/" + tail
    }

    /// The bytes before the first `?`.
    package static func path(of origin: some StringProtocol) -> Substring {
        let text = Substring(origin)
        return text[..<(text.utf8.firstIndex(of: UInt8(ascii: "?")) ?? text.endIndex)]
    }
}

extension Problem {
    static func malformed(_ message: String) -> Problem {
        Problem(status: 400, code: .invalidRequest, message: message)
    }
}

extension StringProtocol {
    /// `hasPrefix` compares characters, and `/` followed by a combining accent is another character than `/`.
    func startsWithBytes(_ prefix: String) -> Bool { utf8.starts(with: prefix.utf8) }
}
