/// Which trace a request belongs to, and which step of it this is: W3C Trace Context, the header `traceparent`.
///
///     client ─ Gateway ─ API ─ Sidekick         one trace id, a span id for each step
package struct TraceContext: Hashable, Sendable {
    package static let header = "traceparent"
    /// What vendors add to it.
    package static let stateHeader = "tracestate"

    /// 32 lower-case hexadecimal digits, not all of them 0.
    package let traceID: String
    /// 16 of them.
    package let spanID: String
    /// Whether somebody before us records it.
    package let isSampled: Bool

    /// The one of the request that is being answered; log lines name it.
    @TaskLocal package static var current: TraceContext?

    private init(traceID: String, spanID: String, isSampled: Bool) {
        self.traceID = traceID
        self.spanID = spanID
        self.isSampled = isSampled
    }

    package static func random() -> TraceContext {
        TraceContext(traceID: randomHex(2), spanID: randomHex(1), isSampled: false)
    }

    /// - Returns: nil for what is none. Of a later version of the header what is known of it is read, as the standard asks.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count >= 4, parts[0].utf8.count == 2, parts[0] != "ff", parts[0] != "00" || parts.count == 4,
            parts[1].utf8.count == 32, parts[2].utf8.count == 16, parts[3].utf8.count == 2,
            parts[..<4].allSatisfy({ $0.utf8.allSatisfy(\.isLowercaseHexDigit) }),
            parts[1].utf8.contains(where: { $0 != UInt8(ascii: "0") }),
            parts[2].utf8.contains(where: { $0 != UInt8(ascii: "0") }), let flags = UInt8(parts[3], radix: 16)
        else { return nil }
        self.init(traceID: String(parts[1]), spanID: String(parts[2]), isSampled: flags & 1 == 1)
    }

    /// The next step of the same trace.
    package var child: TraceContext {
        TraceContext(traceID: traceID, spanID: Self.randomHex(1), isSampled: isSampled)
    }

    /// As a header has it.
    package var text: String { "00-\(traceID)-\(spanID)-0\(isSampled ? 1 : 0)" }

    /// - Parameter count: of numbers, sixteen digits each; every number is a call of the kernel.
    private static func randomHex(_ count: Int) -> String {
        (0..<count).flatMap { _ in withUnsafeBytes(of: UInt64.random(in: .min ... .max)) { Array($0) } }.hex
    }
}

extension UInt8 {
    fileprivate var isLowercaseHexDigit: Bool { isDigit || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(self) }
}
