import SidekickService
import Testing

@Suite struct OutputPacingTests {
    @Test func readersThatKeepUpAreNotWaitedFor() {
        var pacing = OutputPacing()
        for _ in 0..<1000 { #expect(pacing.wait(written: 1 << 18, isBehind: false) == .zero) }
    }

    @Test func aDeadReaderSlowsAWriterToTheSlowestPaceAndNoFurther() {
        var pacing = OutputPacing()
        var waited = Duration.zero
        let share = 1 << 18
        for _ in 0..<1000 { waited += pacing.wait(written: share, isBehind: true) }
        let atSlowest = Duration.seconds(Double(1000 * share) / Double(OutputPacing.slowest))
        #expect(waited <= atSlowest)
        #expect(waited > atSlowest * 0.99)
    }

    @Test func littleOutputIsNeverHeldUp() {
        var pacing = OutputPacing()
        for _ in 0..<1000 { #expect(pacing.wait(written: 20, isBehind: true) == .zero) }
    }

    @Test func whatIsSavedUpIsBounded() {
        var pacing = OutputPacing()
        _ = pacing.wait(written: 1 << 40, isBehind: false)
        var waited = Duration.zero
        for _ in 0..<1000 { waited += pacing.wait(written: 0, isBehind: true) }
        #expect(waited <= .milliseconds(50))
    }
}
