import Foundation
import Logging
import ServiceHost
import Synchronization
import Testing

@Suite struct JSONLogHandlerTests {
    @Test func aLineIsOneJSONObjectWhateverTheTextHolds() throws {
        let lines = Lines()
        let logger = Logger(label: "test") { JSONLogHandler(label: $0, level: .info) { lines.add($0) } }
        logger.info("two\nlines \"quoted\"", metadata: ["compute": "abc", "list": ["x", "y"]])
        logger.debug("dropped")

        let written = lines.all
        #expect(written.count == 1)
        #expect(written[0].filter { $0 == UInt8(ascii: "\n") }.count == 1 && written[0].last == UInt8(ascii: "\n"))
        let line = try #require(JSONSerialization.jsonObject(with: written[0]) as? [String: Any])
        #expect(line["message"] as? String == "two\nlines \"quoted\"")
        #expect(line["compute"] as? String == "abc")
        #expect(line["list"] as? [String] == ["x", "y"])
        #expect(line["level"] as? String == "info")
    }

    final class Lines: Sendable {
        private let lines = Mutex<[Data]>([])
        var all: [Data] { lines.withLock { $0 } }
        func add(_ line: Data) { lines.withLock { $0.append(line) } }
    }
}
