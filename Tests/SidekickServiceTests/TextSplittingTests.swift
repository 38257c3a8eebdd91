import SidekickService
import Testing

@Suite struct TextSplittingTests {
    static let text = "aé€😀\u{0}z\r\n한글\u{301}"

    /// Whatever the cut, the part before it ends with a whole character and leaves at most three bytes.
    @Test(arguments: 0...Self.text.utf8.count)
    func aTextIsCutBetweenCharacters(cut: Int) {
        let bytes = Array(Self.text.utf8)
        let end = UTF8Boundary.completePrefix(of: Array(bytes[..<cut]))
        #expect(cut - end <= 3)
        #expect(String(validating: bytes[..<end], as: UTF8.self) != nil)
        #expect(String(validating: bytes[end...], as: UTF8.self) != nil)
    }

    @Test(
        arguments: [
            [0xFF], [0xC0, 0x80], [0xE0, 0x80], [0xED, 0xA0], [0xF4, 0x90], [0xF0, 0x80], [0x80, 0x80, 0x80, 0x80],
            [0xC1],
        ] as [[UInt8]])
    func bytesThatCanBecomeNothingAreNotHeldBack(bytes: [UInt8]) {
        #expect(UTF8Boundary.completePrefix(of: bytes) == bytes.count)
    }

    @Test func aCharacterThatHasOnlyBegunIsHeldBack() {
        #expect(UTF8Boundary.completePrefix(of: [0x61, 0xF0, 0x9F, 0x98]) == 1)
    }

    @Test func aCaptureKeepsTheFirstPartAndDropsTheRest() {
        var capture = OutputCapture(limit: 4)
        for _ in 0..<3 { [UInt8]("a€".utf8).withUnsafeBytes { capture.append($0) } }
        let text = capture.text()
        #expect(text.text == "a€")
        #expect(text.isTruncated)
    }

    @Test func aCharacterAtTheLimitIsNotCut() {
        var capture = OutputCapture(limit: 3)
        [UInt8]("a€".utf8).withUnsafeBytes { capture.append($0) }
        #expect(capture.text() == OutputCapture.Text(text: "a", isTruncated: true))
    }

    @Test func aCaptureCountsWhatItsAnswerWillTake() {
        var capture = OutputCapture(limit: 10)
        ([0, 0x0A, 0x61, 0x62] as [UInt8]).withUnsafeBytes { capture.append($0) }
        #expect(capture.text() == OutputCapture.Text(text: "\0\nab", isTruncated: false))
        capture = OutputCapture(limit: 10)
        ([0, 0, 0x61] as [UInt8]).withUnsafeBytes { capture.append($0) }
        #expect(capture.text() == OutputCapture.Text(text: "\0", isTruncated: true))
        // What comes behind a gap would be taken for what stands behind it.
        capture = OutputCapture(limit: 10)
        for byte in [0, 0, 0x61] as [UInt8] { [byte].withUnsafeBytes { capture.append($0) } }
        #expect(capture.text() == OutputCapture.Text(text: "\0", isTruncated: true))
    }

    @Test func nulsAndInvalidBytesSurviveAsText() {
        var capture = OutputCapture()
        ([0x61, 0, 0xFF, 0x62] as [UInt8]).withUnsafeBytes { capture.append($0) }
        #expect(capture.text() == OutputCapture.Text(text: "a\u{0}\u{FFFD}b", isTruncated: false))
    }
}
