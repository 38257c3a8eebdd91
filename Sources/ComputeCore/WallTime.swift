package import struct FoundationEssentials.Date

/// A moment of wall-clock time, in whole milliseconds since 1970 (UTC). On the wire: RFC 3339 with milliseconds.
package struct WallTime: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let milliseconds: Int64
    package init(milliseconds: Int64) { self.milliseconds = milliseconds }

    package init(_ date: Date) { self.init(milliseconds: Int64((date.timeIntervalSince1970 * 1000).rounded())) }

    /// - Returns: nil when `text` is not an RFC 3339 time. Digits beyond the millisecond are cut.
    package init?(rfc3339 text: String) {
        // Date's own style loses a millisecond now and then (it cuts a binary fraction), so the fraction is ours.
        var wholeSeconds = text
        var milliseconds: Int64 = 0
        if let point = text.firstIndex(of: ".") {
            let fraction = text[text.index(after: point)...].prefix { $0.isASCII && $0.isNumber }
            guard !fraction.isEmpty else { return nil }
            wholeSeconds = String(text[..<point] + text[fraction.endIndex...])
            milliseconds = Int64((fraction + "00").prefix(3))!
        }
        guard let date = try? Date(wholeSeconds, strategy: .iso8601) else { return nil }
        self.init(milliseconds: Int64(date.timeIntervalSince1970) * 1000 + milliseconds)
    }

    /// `2026-11-23T21:24:14.123Z`
    package var rfc3339: String {
        let fraction = (milliseconds % 1000 + 1000) % 1000
        let seconds = Date(timeIntervalSince1970: Double((milliseconds - fraction) / 1000))
        let digits = String(fraction + 1000).dropFirst()
        return "\(seconds.formatted(.iso8601).dropLast()).\(digits)Z"
    }
    package var description: String { rfc3339 }

    package static func < (a: WallTime, b: WallTime) -> Bool { a.milliseconds < b.milliseconds }
    package static func + (a: WallTime, b: Duration) -> WallTime {
        WallTime(milliseconds: a.milliseconds + b.wholeMilliseconds)
    }
    package static func - (a: WallTime, b: WallTime) -> Duration { .milliseconds(a.milliseconds - b.milliseconds) }
}

extension WallTime: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let time = WallTime(rfc3339: try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not an RFC 3339 time")
        }
        self = time
    }
    package func encode(to encoder: any Encoder) throws { try rfc3339.encode(to: encoder) }
}

extension Duration {
    /// Rounded towards zero.
    package var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1000 + attoseconds / 1_000_000_000_000_000
    }
}

/// Where the time of day comes from. Decisions never ask for it: shells read it and pass it in.
package protocol WallClock: Sendable {
    func now() -> WallTime
}

/// The system's clock.
package struct SystemWallClock: WallClock {
    package init() {}
    package func now() -> WallTime { WallTime(Date()) }
}
