package import ComputeCore

/// What a client says on `/ws`, in either spelling.
package struct SocketMessage: Sendable {
    package let type: String
    package let channel: String
    package let data: FieldReader

    /// What no type that we know reaches.
    private static let maxTypeBytes = 64

    /// From a text frame, or from a binary one that holds JSON or a binary frame: whatever the connection asked for,
    /// clients send both.
    package init(_ bytes: [UInt8], isText: Bool) throws(Problem) {
        if isText || bytes.first == UInt8(ascii: "{") {
            let fields = try RequestBody.parse(bytes)
            type = try fields.requiredString("type")
            channel = try fields.string("channel") ?? ""
            data = FieldReader(try fields.object("data") ?? [:], prefix: "data")
        } else if let frame = BinaryFrame(bytes) {
            type =
                switch frame.kind {
                case .subscribe: "subscribe"
                case .unsubscribe: "unsubscribe"
                case .data, .error, .connected: frame.type
                }
            channel = frame.channel
            data = FieldReader(frame.data, prefix: "data")
        } else {
            throw Problem(
                status: 400, code: .invalidRequest, message: "the message is neither JSON nor a binary frame")
        }
        // Both come back in what the sender is told.
        guard type.utf8.count <= Self.maxTypeBytes else { throw .invalid("type", "unknown message type") }
        try Self.checkName(channel, "channel")
    }

    /// A field of `data` that says who is meant, as short as the channel of whoever that may be.
    package func name(_ field: String) throws(Problem) -> String {
        let name = try data.requiredString(field)
        try Self.checkName(name, data.path(field))
        return name
    }

    private static func checkName(_ name: String, _ field: String) throws(Problem) {
        guard name.utf8.count <= EventHub.maxChannelBytes else {
            throw .invalid(field, "\(field) may have \(EventHub.maxChannelBytes) bytes")
        }
    }
}

/// Who said it, and whose compute it is.
package struct SocketSender: Sendable {
    package let connection: EventHub.ConnectionID
    package let compute: ComputeContext
}

/// One line of the table of messages: which type, and who does it.
package struct SocketRoute: Sendable {
    package let type: String
    /// A connection's messages are handled one after the other. A thrown `Problem` is told as an `error` event.
    package let handle: @Sendable (SocketMessage, SocketSender) async throws -> Void

    package init(
        _ type: String, handle: @escaping @Sendable (SocketMessage, SocketSender) async throws -> Void
    ) {
        self.type = type
        self.handle = handle
    }
}
