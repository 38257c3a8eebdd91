import SidekickService
import Testing

struct DownloadPaceTests {
    @Test func partsGrowWhileTheyAreTakenQuicklyAndAreSmallAgainWhenOneIsNot() {
        var pace = DownloadPace()
        #expect(pace.bytes == DownloadPace.least)
        for _ in 0..<10 { pace.sent(in: .milliseconds(1)) }
        #expect(pace.bytes == DownloadPace.most)
        pace.sent(in: .seconds(2))
        #expect(pace.bytes == DownloadPace.least)
    }

    @Test func thePartsOfAFileFollowOneAnotherToItsEnd() {
        var pace = DownloadPace()
        let whole: Range<Int64> = 7..<(3 * DownloadPace.most + 11)
        var (offset, parts) = (whole.lowerBound, 0)
        while case let part = pace.next(of: whole, at: offset), !part.isEmpty {
            #expect(part.lowerBound == offset && part.count <= DownloadPace.most)
            offset = part.upperBound
            parts += 1
            pace.sent(in: .zero)
        }
        #expect(offset == whole.upperBound)
        #expect(parts == 5, "1, 2, 4 and 4 MiB, and what is left")
    }
}
