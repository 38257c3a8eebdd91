package import ComputeCore

/// A day in UTC.
package struct UsageDay: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// Since 1970-01-01.
    package let number: Int64

    private static let milliseconds: Int64 = 24 * 3600 * 1000

    package init(number: Int64) { self.number = number }

    package init(_ time: WallTime) {
        let rest = (time.milliseconds % Self.milliseconds + Self.milliseconds) % Self.milliseconds
        number = (time.milliseconds - rest) / Self.milliseconds
    }

    /// - Returns: nil for what is no day, written `2026-11-29`.
    package init?(_ text: String) {
        guard text.utf8.count == 10, let start = WallTime(rfc3339: text + "T00:00:00Z") else { return nil }
        self.init(start)
        // Nothing that a lenient reader makes of something else, such as the 31st of a short month.
        guard description == text else { return nil }
    }

    package var start: WallTime { WallTime(milliseconds: number * Self.milliseconds) }
    package var end: WallTime { WallTime(milliseconds: (number + 1) * Self.milliseconds) }

    package func advanced(by days: Int64) -> UsageDay { UsageDay(number: number + days) }

    package var description: String { String(start.rfc3339.prefix(10)) }

    package static func < (one: UsageDay, other: UsageDay) -> Bool { one.number < other.number }
}
