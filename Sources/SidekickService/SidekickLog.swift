import ComputeCore
import FoundationEssentials
import Glibc

/// Log lines as JSON on stderr, one write each, so that lines of several threads do not mix. Messages are constants
/// and data are fields; no secret, token or body is ever one.
package enum SidekickLog {
    package enum Level: String { case info, warning, error }

    package static func write(_ level: Level, _ message: StaticString, _ fields: [String: String] = [:]) {
        var line = fields
        line["time"] = SystemWallClock().now().rfc3339
        line["level"] = level.rawValue
        line["message"] = "\(message)"
        line["trace.id"] = TraceContext.current?.traceID
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard var bytes = try? encoder.encode(line) else { return }
        bytes.append(UInt8(ascii: "\n"))
        // A log that cannot be written must not stop the service, and there is nowhere to tell.
        _ = bytes.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
