import ComputeCore
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

    @Test func durationsAddAndSubtract() {
        let time = WallTime(milliseconds: 1000)
        #expect(time + .milliseconds(1500) == WallTime(milliseconds: 2500))
        #expect(WallTime(milliseconds: 2500) - time == .milliseconds(1500))
        #expect(Duration.seconds(-2).wholeMilliseconds == -2000)
    }
}
