package import ComputeCore

/// What a client says on `/ws`, in either spelling.
package struct SocketMessage: Sendable {
    package let type: String
    package let channel: String
    package let data: FieldReader

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
