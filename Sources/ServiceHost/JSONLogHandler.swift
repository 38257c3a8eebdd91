package import Foundation
package import Logging

/// Writes each log line as one JSON object on standard error: `time`, `level`, `logger`, `message`, then metadata.
package struct JSONLogHandler: LogHandler {
    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    private let label: String
    private let write: @Sendable (Data) -> Void

    /// - Parameter write: gets one whole line with its newline; a single `write(2)`, so that lines never mix.
    package init(
        label: String, level: Logger.Level,
        write: @escaping @Sendable (Data) -> Void = { try? FileHandle.standardError.write(contentsOf: $0) }
    ) {
        self.label = label
        self.logLevel = level
        self.write = write
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var line: [String: Any] = [:]
        for (key, value) in metadata { line[key] = Self.json(value) }
        for (key, value) in metadataProvider?.get() ?? [:] { line[key] = Self.json(value) }
        for (key, value) in event.metadata ?? [:] { line[key] = Self.json(value) }
        line["time"] = Date().formatted(.iso8601WithMilliseconds)
        line["level"] = event.level.rawValue
        line["logger"] = label
        line["message"] = event.message.description
        if let error = event.error { line["error"] = String(describing: error) }
        guard
            var data = try? JSONSerialization.data(
                withJSONObject: line, options: [.sortedKeys, .withoutEscapingSlashes])
        else { return }
        data.append(UInt8(ascii: "\n"))
        write(data)
    }

    private static func json(_ value: Logger.Metadata.Value) -> Any {
        switch value {
        case .string(let text): text
        case .stringConvertible(let value): value.description
        case .array(let values): values.map(json)
        case .dictionary(let values): values.mapValues(json)
        }
    }
}

extension FormatStyle where Self == Date.ISO8601FormatStyle {
    fileprivate static var iso8601WithMilliseconds: Self { .init(includingFractionalSeconds: true) }
}
