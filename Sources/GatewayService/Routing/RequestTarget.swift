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
        // The parser below us decodes bytes leniently: what is not ASCII here may not be what was sent, so it
        // cannot be passed on unchanged. RFC 3986 has such bytes percent-encoded.
        guard raw.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "#") }) else {
            throw .malformed("the request target holds a character that must be percent-encoded")
        }
        if raw.utf8.first == UInt8(ascii: "/") || raw == "*" {
            origin = raw
            return
        }
        guard let colon = raw.range(of: "://") else {
            throw .malformed("the request target must begin with / or be a full http:// address")
        }
        let scheme = raw[..<colon.lowerBound].lowercased()
        guard scheme == "http" || scheme == "https" else {
            throw .malformed("the request target has a scheme other than http and https")
        }
        let rest = raw[colon.upperBound...]
        let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        guard let authority = Authority(rest[..<end]), !authority.name.isEmpty else {
            throw .malformed("the request target names no valid host")
        }
        absolute = Absolute(scheme: scheme, authority: authority)
        let tail = String(rest[end...])
        origin = tail.hasPrefix("/") ? tail : "/" + tail
    }

    /// The bytes before the first `?`.
    package static func path(of origin: some StringProtocol) -> Substring {
        let text = Substring(origin)
        return text[..<(text.firstIndex(of: "?") ?? text.endIndex)]
    }
}

extension Problem {
    static func malformed(_ message: String) -> Problem {
        Problem(status: 400, code: .invalidRequest, message: message)
    }
}

extension StringProtocol {
    /// Foundation's search compares by meaning; this one compares characters, which are bytes here (ASCII).
    fileprivate func range(of needle: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(needle) { return start..<index(start, offsetBy: needle.count) }
            formIndex(after: &start)
        }
        return nil
    }
}
