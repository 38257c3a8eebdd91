import ComputeCore
import ComputeDomain
import EventSourcing
import TestSupport
import Testing

struct CursorTests {
    @Test(arguments: [0, 1, 255, 256, Int64.max]) func positionsRoundTrip(position: Int64) throws {
        let cursor = PositionCursor(position: position).cursor
        #expect(try PositionCursor(cursor).position == position)
        #expect(cursor.rawValue.wholeMatch(of: /[A-Za-z0-9_-]+/) != nil)
    }

    @Test(arguments: [
        "", "1", "AAAA", "====", "ZQEAAAAAAAAAAQ==", "ZQIAAAAAAAAAAQ", "ZQEAAAAAAAAA", "ZQH__________w",
        "cwEAAAAAAAAAAQ",
        "é", "../..", String(repeating: "A", count: 100_000), "' OR 1=1 --",
    ])
    func whatIsNoCursorIsRefused(text: String) {
        let error = #expect(throws: EventStoreError.self) { try PositionCursor(Cursor(rawValue: text)) }
        #expect(error?.code == .badCursor)
        #expect(throws: EventStoreError.self) { try SummaryCursor(Cursor(rawValue: text)) }
    }

    @Test func aSignalWakesOnlyThoseItIsNewFor() async {
        let signal = AppendSignal<Int64>(latest: 5)
        let clock = ContinuousClock()
        // Already past: returns at once, far before its timeout.
        #expect(await clock.measure { await signal.wait(past: 4, timeout: .seconds(30)) } < .seconds(10))
        #expect(await clock.measure { await signal.wait(past: 5, timeout: .milliseconds(20)) } >= .milliseconds(20))
        async let woken = clock.measure { await signal.wait(past: 5, timeout: .seconds(30)) }
        signal.advance(to: 6)
        #expect(await woken < .seconds(10))
    }

    @Test func aCancelledWaiterReturns() async {
        let signal = AppendSignal<Int64>(latest: 0)
        let elapsed = await ContinuousClock().measure {
            let task = Task { await signal.wait(past: 0, timeout: .seconds(30)) }
            task.cancel()
            await task.value
        }
        #expect(elapsed < .seconds(10))
    }
}
