import ComputeCore
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
        var line: [String: JSONValue] = [:]
        for (key, value) in metadata { line[key] = Self.json(value) }
        for (key, value) in metadataProvider?.get() ?? [:] { line[key] = Self.json(value) }
        for (key, value) in event.metadata ?? [:] { line[key] = Self.json(value) }
        line["time"] = .string(WallTime(Date()).rfc3339)
        line["level"] = .string(event.level.rawValue)
        line["logger"] = .string(label)
        line["message"] = .string(event.message.description)
        if let error = event.error { line["error"] = .string(String(describing: error)) }
        // One for each request: with Foundation's writer this was a fifth of what a small one takes.
        write(Data(JSONValue.object(line).utf8(sortingKeys: true) + [UInt8(ascii: "\n")]))
    }

    private static func json(_ value: Logger.Metadata.Value) -> JSONValue {
        switch value {
        case .string(let text): .string(text)
        case .stringConvertible(let value): .string(value.description)
        case .array(let values): .array(values.map(json))
        case .dictionary(let values): .object(values.mapValues(json))
        }
    }
}
