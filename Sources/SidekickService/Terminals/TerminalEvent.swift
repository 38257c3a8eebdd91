package import ComputeCore

/// What a connection is told (contract §2.4). Always as JSON in a text frame: the decoders of public clients lose
/// events in binary ones.
package enum TerminalEvent: Hashable, Sendable {
    case created(TerminalID)
    /// `dropped`: bytes that are missing before `text`, because this connection or nobody took them in time.
    case output(TerminalID, text: String, TerminalEncoding, dropped: Int)
    case destroyed(TerminalID, exitCode: Int)
    /// About one terminal.
    case terminalError(TerminalID, String)
    /// About what this connection sent.
    case error(String)

    package var document: JSONValue {
        switch self {
        case .created(let id):
            Self.document("terminal:created", id, ["id": .string(id.rawValue), "status": .string("running")])
        case .output(let id, let text, let encoding, let dropped):
            Self.document(
                "terminal:output", id,
                ["output": .string(text), "encoding": .string(encoding.rawValue)].merging(
                    dropped > 0 ? ["dropped_bytes": .int(Int64(dropped))] : [:]) { first, _ in first })
        case .destroyed(let id, let exitCode):
            Self.document(
                "terminal:destroyed", id, ["id": .string(id.rawValue), "exit_code": .int(Int64(exitCode))])
        case .terminalError(let id, let message):
            Self.document("terminal:error", id, ["error": .string(message)])
        case .error(let message):
            .object(["type": .string("error"), "data": .object(["error": .string(message)])])
        }
    }

    private static func document(_ type: String, _ id: TerminalID, _ data: [String: JSONValue]) -> JSONValue {
        .object(["type": .string(type), "channel": .string(id.channel), "data": .object(data)])
    }
}
