import NIOCore
import NIOHTTP1

/// The rules for heads that the parser leaves to us. All of them are about two parties reading the same bytes
/// differently, which is how requests are smuggled past a proxy.
enum MessageRules {
    /// Why a request is refused with 400, or nil.
    static func refusal(of head: HTTPRequestHead) -> String? {
        guard isValidTarget(head.uri) else { return "invalid request target" }
        var hosts = 0
        var lengths = 0
        var codings: [String] = []
        for (name, value) in head.headers {
            guard isValidName(name) else { return "invalid header name" }
            guard isValidValue(value) else { return "invalid header value" }
            switch name.lowercased() {
            case "host":
                hosts += 1
                if value.utf8.contains(where: {
                    $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: ",")
                }) {
                    return "invalid Host"
                }
            case "content-length":
                lengths += 1
                guard length(value) != nil else { return "invalid Content-Length" }
            case "transfer-encoding": codings.append(value.lowercased())
            default: break
            }
        }
        if hosts > 1 || (hosts == 0 && !isOld(head)) { return "exactly one Host is required" }
        if lengths > 1 { return "more than one Content-Length" }
        if !codings.isEmpty {
            if lengths > 0 { return "Content-Length and Transfer-Encoding together" }
            if isOld(head) { return "Transfer-Encoding in HTTP/1.0" }
            if codings != ["chunked"] { return "unknown Transfer-Encoding" }
        }
        return nil
    }

    /// Throws for a head that we ourselves must not send.
    static func check(_ headers: HTTPHeaders) throws {
        for (name, value) in headers where !isValidName(name) || !isValidValue(value) {
            throw HTTPServingError(.invalidMessage, "invalid header \(name.debugDescription)")
        }
    }

    static func isValidTarget(_ target: String) -> Bool {
        // U+FFFD is what undecodable bytes have become: the original target is lost, so it must not be passed on.
        !target.isEmpty && target.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F }
            && !target.unicodeScalars.contains("\u{FFFD}")
    }

    static func isValidName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.allSatisfy(isTokenByte)
    }

    static func isValidValue(_ value: String) -> Bool {
        value.utf8.allSatisfy { ($0 >= 0x20 && $0 != 0x7F) || $0 == 0x09 }
    }

    /// Digits only: no sign, no blanks, no list.
    static func length(_ value: String) -> Int? {
        !value.isEmpty && value.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(value) : nil
    }

    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        case UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "%"), UInt8(ascii: "&"),
            UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."),
            UInt8(ascii: "^"), UInt8(ascii: "_"), UInt8(ascii: "`"), UInt8(ascii: "|"), UInt8(ascii: "~"):
            true
        default: false
        }
    }

    /// The comma-separated tokens of all fields of that name, lower-cased.
    static func tokens(_ headers: HTTPHeaders, _ name: String) -> [String] {
        headers[canonicalForm: name].map { $0.lowercased() }
    }

    /// HTTP/1.0: no chunks, no keep-alive unless asked for, no upgrade.
    static func isOld(_ head: HTTPRequestHead) -> Bool { head.version == .http1_0 }

    static func hasBody(_ head: HTTPRequestHead) -> Bool {
        head.headers.contains(name: "transfer-encoding")
            || head.headers.first(name: "content-length").flatMap(length) ?? 0 > 0
    }

    static func expectsContinue(_ head: HTTPRequestHead) -> Bool {
        !isOld(head) && hasBody(head) && tokens(head.headers, "expect").contains("100-continue")
    }

    /// The lower-cased Upgrade token of a request that asks for one properly.
    static func upgrade(_ head: HTTPRequestHead) -> String? {
        guard !isOld(head), tokens(head.headers, "connection").contains("upgrade") else { return nil }
        return tokens(head.headers, "upgrade").first { !$0.isEmpty }
    }
}
