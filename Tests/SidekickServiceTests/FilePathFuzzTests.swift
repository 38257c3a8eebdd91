import ComputeCore
import Glibc
import SidekickService
import Testing

/// Random spellings of paths and patterns. The seed is fixed, or with `COMPUTESDK_FUZZ_SECONDS` the time, which is printed.
struct FilePathFuzzTests {
    private static let pieces = [
        "a", "..", ".", "/", "//", "%2F", "%2f", "%2e", "%2E%2e", "%00", "%", "%2", "%zz", "%ff", "%C3%A9", "é", "+",
        "?", "*", "**",
        "[", "]", "[a-z]", "!", "\\", "{", "}", "\u{0}", "~", ";", " ", "%25", "content/", "uploads", "\u{202E}",
        "\u{301}", "😀", "-", "^", "|", "(",
        ")", "(?:", "\\d", "{2,3}", "$",
    ]

    private static let seconds = getenv("COMPUTESDK_FUZZ_SECONDS").flatMap { Int(String(cString: $0)) }

    /// Calls `body` with texts made of pieces, for a second or as long as was asked.
    private static func random(_ body: (String) throws -> Void) rethrows {
        var state = seconds == nil ? 42 : UInt64(clamping: time(nil))
        if seconds != nil { print("fuzz seed \(state)") }
        let end = ContinuousClock.now + .seconds(seconds ?? 1)
        var rounds = 0
        while rounds < 3000 || seconds != nil, ContinuousClock.now < end {
            rounds += 1
            var text = ""
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            for _ in 0..<(state >> 60) {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                text += pieces[Int((state >> 33) % UInt64(pieces.count))]
            }
            try body(text)
        }
    }

    @Test func aPathThatIsTakenIsAbsoluteAndPlain() {
        Self.random { text in
            for path in [
                try? FilePath(rawTarget: text, directory: "/home/u"), try? FilePath(text, directory: "/home/u"),
            ].compactMap(\.self) {
                for absolute in [path.absolute, path.legacy].compactMap(\.self) {
                    #expect(absolute.utf8.first == UInt8(ascii: "/"), "\(text.debugDescription)")
                    let parts = absolute.utf8.dropFirst().split(
                        separator: UInt8(ascii: "/"), omittingEmptySubsequences: false
                    ).map { String(Substring($0)) }
                    #expect(
                        absolute == "/" || parts.allSatisfy { !["", ".", ".."].contains($0) },
                        "\(text.debugDescription)")
                    #expect(!absolute.utf8.contains(0) && absolute.utf8.count <= 4095, "\(text.debugDescription)")
                }
            }
        }
    }

    @Test func patternsAreTakenOrRefusedAndNeverTrap() {
        Self.random { text in
            if let glob = try? Glob(text) { _ = glob.matches("a/..a/é/\(text)") }
            for isRegex in [true, false] {
                guard var pattern = try? LinePattern(text, isRegex: isRegex, ignoringCase: isRegex) else { continue }
                let line = Array("a\(text)é😀".utf8)
                let match = line.withUnsafeBytes { pattern.search($0) }
                #expect(isRegex || match != nil, "\(text.debugDescription)")
            }
            _ = ByteRange("bytes=\(text)", size: 10)
        }
    }
}
