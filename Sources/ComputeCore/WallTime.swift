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

    /// `2026-11-23T21:24:14.123Z`. Put together here because each answer and each line of a log has some, and Foundation's
    /// formatter takes several times as long.
    package var rfc3339: String {
        let (day, time) = milliseconds.quotientAndRemainder(flooringBy: 86_400_000)
        let date = Self.date(ofDay: day)
        var text: [UInt8] = []
        text.reserveCapacity(24)
        if date.year < 0 { text.append(UInt8(ascii: "-")) }
        text.append(date.year.magnitude, digits: 4)
        text.append(UInt8(ascii: "-"))
        text.append(date.month.magnitude, digits: 2)
        text.append(UInt8(ascii: "-"))
        text.append(date.day.magnitude, digits: 2)
        for (mark, number, digits) in [
            ("T", time / 3_600_000, 2), (":", time / 60_000 % 60, 2), (":", time / 1000 % 60, 2), (".", time % 1000, 3),
        ] {
            text += mark.utf8
            text.append(number.magnitude, digits: digits)
        }
        text.append(UInt8(ascii: "Z"))
        return String(decoding: text, as: UTF8.self)
    }

    /// The date of a day since 1970-01-01, in the Gregorian calendar. Counted in years from March to February, so that the
    /// leap day is the last of one, and in eras of 400 years, which all have as many days.
    private static func date(ofDay day: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = (day + 719_468).quotientAndRemainder(flooringBy: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
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

extension Int64 {
    /// The remainder is never below zero.
    fileprivate func quotientAndRemainder(flooringBy divisor: Int64) -> (Int64, Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}

extension [UInt8] {
    /// With zeros in front, where it has fewer digits.
    fileprivate mutating func append(_ number: UInt64, digits: Int) {
        let text = String(number).utf8
        append(contentsOf: repeatElement(UInt8(ascii: "0"), count: Swift.max(0, digits - text.count)))
        append(contentsOf: text)
    }
}
