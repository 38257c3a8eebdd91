import ComputeCore
import Foundation
import Testing

@Suite struct WallTimeTests {
    @Test func roundTripsToTheMillisecond() {
        let time = WallTime(milliseconds: 1_795_469_054_123)
        #expect(time.rfc3339 == "2026-11-23T21:24:14.123Z")
        #expect(WallTime(rfc3339: time.rfc3339) == time)
        #expect(WallTime(rfc3339: "2026-11-23T21:24:14Z") == WallTime(milliseconds: 1_795_469_054_000))
        for text in ["yesterday", "", "2026-11-23T21:24:14.Z", ".5"] { #expect(WallTime(rfc3339: text) == nil) }
    }

    @Test func everyMillisecondOfASecondRoundTrips() {
        for milliseconds in Int64(-1500)...1500 {
            let time = WallTime(milliseconds: milliseconds + 1_795_469_054_000)
            #expect(WallTime(rfc3339: time.rfc3339) == time)
            let early = WallTime(milliseconds: milliseconds)
            #expect(WallTime(rfc3339: early.rfc3339) == early)
        }
    }

    @Test func datesAreThoseOfTheCalendar() {
        for (day, text) in [
            (-1, "1969-12-31"), (0, "1970-01-01"), (11_016, "2000-02-29"), (11_017, "2000-03-01"),
            (47_540, "2100-02-28"), (47_541, "2100-03-01"), (-135_140, "1600-01-01"), (2_932_896, "9999-12-31"),
        ] {
            #expect(WallTime(milliseconds: Int64(day) * 86_400_000).rfc3339 == "\(text)T00:00:00.000Z")
        }
        // Days of four centuries, each at some second of it, as Foundation has them.
        for day in stride(from: Int64(-100_000), to: 50_000, by: 13) {
            let seconds = day * 86_400 + (day * 7919 % 86_400 + 86_400) % 86_400
            let expected = Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601).dropLast()
            #expect(WallTime(milliseconds: seconds * 1000 + 7).rfc3339 == "\(expected).007Z")
        }
    }

    @Test func durationsAddAndSubtract() {
        let time = WallTime(milliseconds: 1000)
        #expect(time + .milliseconds(1500) == WallTime(milliseconds: 2500))
        #expect(WallTime(milliseconds: 2500) - time == .milliseconds(1500))
        #expect(Duration.seconds(-2).wholeMilliseconds == -2000)
    }
}
