import SidekickService
import Testing

@Suite struct TextSplittingTests {
    static let text = "aé€😀\u{0}z\r\n한글\u{301}"

    /// Whatever the cut, the parts make the whole and none ends inside a character.
    @Test(arguments: 0...Self.text.utf8.count)
    func aTextCutAtAnyByteComesOutWhole(cut: Int) {
        let bytes = Array(Self.text.utf8)
        var splitter = UTF8Splitter()
        let first = splitter.split(Array(bytes[..<cut]))
        let second = splitter.split(Array(bytes[cut...]))
        #expect(Array((first + second).utf8) == bytes)
        #expect(!first.unicodeScalars.contains("\u{FFFD}"))
        #expect(splitter.finish() == "")
    }

    @Test func bytesOneByOneComeOutWhole() {
        var splitter = UTF8Splitter()
        var all = ""
        for byte in Self.text.utf8 { all += splitter.split([byte]) }
        #expect(Array(all.utf8) == Array(Self.text.utf8))
    }

    @Test(arguments: [
        [0xFF], [0xC0, 0x80], [0xE0, 0x80], [0xED, 0xA0], [0xF4, 0x90], [0xF0, 0x80], [0x80, 0x80, 0x80, 0x80], [0xC1],
    ] as [[UInt8]])
    func bytesThatCanBecomeNothingAreNotHeldBack(bytes: [UInt8]) {
        var splitter = UTF8Splitter()
        let text = splitter.split(bytes)
        #expect(!text.isEmpty)
        #expect(text.unicodeScalars.allSatisfy { $0 == "\u{FFFD}" })
        #expect(splitter.finish() == "")
    }

    @Test func anUnfinishedTailIsReplacedAtTheEnd() {
        var splitter = UTF8Splitter()
        #expect(splitter.split([0x61, 0xF0, 0x9F, 0x98]) == "a")
        #expect(splitter.finish() == "\u{FFFD}")
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

    @Test func nulsAndInvalidBytesSurviveAsText() {
        var capture = OutputCapture()
        ([0x61, 0, 0xFF, 0x62] as [UInt8]).withUnsafeBytes { capture.append($0) }
        #expect(capture.text() == OutputCapture.Text(text: "a\u{0}\u{FFFD}b", isTruncated: false))
    }
}

extension UTF8Splitter {
    mutating func split(_ bytes: [UInt8]) -> String { bytes.withUnsafeBytes { split($0) } }
}
