package import NIOCore
package import NIOWebSocket

/// A whole message.
package enum WebSocketMessage: Hashable, Sendable {
    case text(String)
    case binary(ByteBuffer)
}

/// Joins a client's frames to messages and finds every breach of RFC 6455. A value: frames in, orders out.
package struct MessageAssembler {
    package enum Order: Equatable {
        case doNothing
        case deliver(WebSocketMessage)
        case pong(ByteBuffer)
        /// The peer closes; answer with the same code (nil: it gave none). Nothing may follow.
        case answerClose(UInt16?)
        /// The peer broke a rule: close with this code.
        case fail(UInt16, String)
    }

    private enum State {
        /// Between messages.
        case idle
        /// Within a fragmented message.
        case joining(text: Bool, ByteBuffer)
        /// A close or a breach was seen; everything after it is ignored.
        case ended
    }

    private let maxMessageBytes: Int
    private var state = State.idle

    package init(maxMessageBytes: Int) { self.maxMessageBytes = maxMessageBytes }

    package mutating func received(_ frame: WebSocketFrame) -> Order {
        if case .ended = state { return .doNothing }
        let order = step(frame)
        switch order {
        case .answerClose, .fail: state = .ended
        case .doNothing, .deliver, .pong: break
        }
        return order
    }

    private mutating func step(_ frame: WebSocketFrame) -> Order {
        // An unmasked frame is not from a browser but from something that tricks an intermediary into caching it.
        guard frame.maskKey != nil else { return .fail(1002, "client frames must be masked") }
        // We agreed on no extension, so nobody gave these bits a meaning.
        guard !frame.rsv1, !frame.rsv2, !frame.rsv3 else { return .fail(1002, "reserved bits are set") }
        let data = frame.unmaskedData
        switch frame.opcode {
        case .text: return begin(text: true, data, last: frame.fin)
        case .binary: return begin(text: false, data, last: frame.fin)
        case .continuation: return proceed(data, last: frame.fin)
        case .ping, .pong, .connectionClose:
            guard frame.fin else { return .fail(1002, "a control frame is fragmented") }
            guard data.readableBytes <= 125 else { return .fail(1002, "a control frame is too long") }
            switch frame.opcode {
            case .ping: return .pong(data)
            case .connectionClose: return close(data)
            default: return .doNothing
            }
        default: return .fail(1002, "unknown opcode")
        }
    }

    private mutating func begin(text: Bool, _ data: ByteBuffer, last: Bool) -> Order {
        guard case .idle = state else { return .fail(1002, "a message began within another") }
        guard data.readableBytes <= maxMessageBytes else { return tooBig }
        if last { return complete(text: text, data) }
        state = .joining(text: text, data)
        return .doNothing
    }

    private mutating func proceed(_ data: ByteBuffer, last: Bool) -> Order {
        guard case .joining(let text, var whole) = state else { return .fail(1002, "nothing to continue") }
        guard whole.readableBytes + data.readableBytes <= maxMessageBytes else { return tooBig }
        // Without this the buffer would be shared with `state` and copied at every fragment.
        state = .idle
        var data = data
        whole.writeBuffer(&data)
        if last { return complete(text: text, whole) }
        state = .joining(text: text, whole)
        return .doNothing
    }

    private func complete(text: Bool, _ data: ByteBuffer) -> Order {
        guard text else { return .deliver(.binary(data)) }
        guard let string = Self.utf8(data) else { return .fail(1007, "the text is not UTF-8") }
        return .deliver(.text(string))
    }

    private func close(_ data: ByteBuffer) -> Order {
        var data = data
        guard data.readableBytes > 0 else { return .answerClose(nil) }
        guard let code = data.readInteger(as: UInt16.self) else { return .fail(1002, "half a close code") }
        guard Self.mayBeSent(code) else { return .fail(1002, "invalid close code") }
        guard Self.utf8(data) != nil else { return .fail(1007, "the close reason is not UTF-8") }
        return .answerClose(code)
    }

    private var tooBig: Order { .fail(1009, "the message has more than \(maxMessageBytes) bytes") }

    private static func utf8(_ data: ByteBuffer) -> String? {
        String(validating: data.readableBytesView, as: UTF8.self)
    }

    /// RFC 6455 §7.4 and the IANA registry; 1004–1006 and 1015 never travel.
    static func mayBeSent(_ code: UInt16) -> Bool {
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}
