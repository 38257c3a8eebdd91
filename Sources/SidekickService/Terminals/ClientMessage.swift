import ComputeCore
package import LinuxSystem

/// What a connection may say, in either spelling.
package enum ClientMessage: Hashable, Sendable {
    case subscribe(channel: String)
    case unsubscribe(channel: String)
    case input(TerminalID, String)
    case resize(TerminalID, TerminalSize)
    /// Nothing that can be done; the text is for the sender.
    case refused(String)

    /// From a text frame, or from a binary one that holds JSON or a binary frame: whatever the connection asked for,
    /// clients send both.
    package init(_ bytes: [UInt8], isText: Bool) {
        if isText || bytes.first == UInt8(ascii: "{") {
            do throws(Problem) {
                try self.init(RequestBody.parse(bytes))
            } catch {
                self = .refused(error.message)
            }
        } else if let frame = BinaryFrame(bytes) {
            self.init(frame)
        } else {
            self = .refused("the message is neither JSON nor a binary frame")
        }
    }

    private init(_ frame: BinaryFrame) {
        let type =
            switch frame.kind {
            case .subscribe: "subscribe"
            case .unsubscribe: "unsubscribe"
            case .data, .error, .connected: frame.type
            }
        do throws(Problem) {
            try self.init(type: type, channel: frame.channel, data: FieldReader(frame.data, prefix: "data"))
        } catch {
            self = .refused(error.message)
        }
    }

    private init(_ fields: FieldReader) throws(Problem) {
        try self.init(
            type: fields.requiredString("type"), channel: fields.string("channel") ?? "",
            data: FieldReader(fields.object("data") ?? [:], prefix: "data"))
    }

    private init(type: String, channel: String, data: FieldReader) throws(Problem) {
        switch type {
        case "subscribe", "unsubscribe":
            guard !channel.isEmpty else { throw .invalid("channel", "channel is required") }
            self = type == "subscribe" ? .subscribe(channel: channel) : .unsubscribe(channel: channel)
        case "terminal:input":
            self = .input(TerminalID(try data.requiredString("terminal_id")), try data.requiredString("input"))
        case "terminal:resize":
            let id = TerminalID(try data.requiredString("terminal_id"))
            guard
                let size = TerminalSize(
                    clampingColumns: try Self.number(data, "cols"), rows: try Self.number(data, "rows"))
            else { throw .invalid("data.cols", "data.cols and data.rows must be numbers") }
            self = .resize(id, size)
        default:
            self = .refused("unknown message type \(type.prefix(64))")
        }
    }

    /// Numbers may come as floats.
    private static func number(_ data: FieldReader, _ name: String) throws(Problem) -> Double {
        switch data.value(name) {
        case .int(let value): return Double(value)
        case .double(let value): return value
        case .null, .bool, .string, .array, .object, nil:
            throw .invalid(data.path(name), "\(data.path(name)) must be a number")
        }
    }
}
