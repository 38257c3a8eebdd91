import NIOCore
import NIOWebSocket
import Testing
import WebSockets

@Suite struct MessageAssemblerTests {
    private static func frame(
        _ opcode: WebSocketOpcode, _ data: ByteBuffer, fin: Bool = true, masked: Bool = true, rsv1: Bool = false
    ) -> WebSocketFrame {
        var data = data
        let key: WebSocketMaskingKey? = masked ? [1, 2, 3, 4] : nil
        if let key { data.webSocketMask(key) }
        return WebSocketFrame(fin: fin, rsv1: rsv1, opcode: opcode, maskKey: key, data: data)
    }

    private static func text(_ text: String) -> ByteBuffer { ByteBuffer(string: text) }

    @Test func textSplitAtEveryByteIsTheSameMessage() {
        let whole = Self.text("aé€😀")
        for cut in 0...whole.readableBytes {
            var machine = MessageAssembler(maxMessageBytes: 100)
            let first = whole.getSlice(at: 0, length: cut)!
            let second = whole.getSlice(at: cut, length: whole.readableBytes - cut)!
            #expect(machine.received(Self.frame(.text, first, fin: false)) == .doNothing)
            // A ping may come between the fragments.
            #expect(machine.received(Self.frame(.ping, Self.text("p"))) == .pong(Self.text("p")))
            #expect(machine.received(Self.frame(.continuation, second)) == .deliver(.text("aé€😀")))
        }
    }

    @Test func breachesEndTheConnectionWithTheRightCode() {
        let bad = ByteBuffer(bytes: [0xC3, 0x28])
        let table: [(frames: [WebSocketFrame], code: UInt16)] = [
            ([Self.frame(.text, Self.text("a"), masked: false)], 1002),
            ([Self.frame(.text, Self.text("a"), rsv1: true)], 1002),
            ([Self.frame(.continuation, Self.text("a"))], 1002),
            ([Self.frame(.text, Self.text("a"), fin: false), Self.frame(.text, Self.text("b"))], 1002),
            ([Self.frame(.ping, Self.text("a"), fin: false)], 1002),
            ([Self.frame(.ping, ByteBuffer(repeating: 0, count: 126))], 1002),
            ([Self.frame(WebSocketOpcode(encodedWebSocketOpcode: 3)!, Self.text("a"))], 1002),
            ([Self.frame(.text, bad)], 1007),
            ([Self.frame(.text, ByteBuffer(bytes: [0xF0, 0x9F]))], 1007),
            ([Self.frame(.binary, ByteBuffer(repeating: 0, count: 11))], 1009),
            (
                [
                    Self.frame(.binary, ByteBuffer(repeating: 0, count: 6), fin: false),
                    Self.frame(.continuation, ByteBuffer(repeating: 0, count: 5)),
                ], 1009
            ),
            ([Self.frame(.connectionClose, ByteBuffer(bytes: [3]))], 1002),
            ([Self.frame(.connectionClose, ByteBuffer(bytes: [0x03, 0xED]))], 1002),  // 1005
            ([Self.frame(.connectionClose, ByteBuffer(bytes: [0x03, 0xE8, 0xC3, 0x28]))], 1007),
        ]
        for (frames, code) in table {
            var machine = MessageAssembler(maxMessageBytes: 10)
            let orders = frames.map { machine.received($0) }
            guard case .fail(code, _)? = orders.last else {
                Issue.record("\(frames): \(orders), not \(code)")
                continue
            }
            #expect(machine.received(Self.frame(.text, Self.text("late"))) == .doNothing)
        }
    }

    @Test func closeIsAnsweredWithItsCode() {
        var machine = MessageAssembler(maxMessageBytes: 10)
        #expect(machine.received(Self.frame(.connectionClose, ByteBuffer(bytes: [0x03, 0xE9]))) == .answerClose(1001))
        var other = MessageAssembler(maxMessageBytes: 10)
        #expect(other.received(Self.frame(.connectionClose, ByteBuffer())) == .answerClose(nil))
    }

    @Test func messageOfExactlyTheLimitPasses() {
        var machine = MessageAssembler(maxMessageBytes: 10)
        let data = ByteBuffer(repeating: 1, count: 10)
        #expect(machine.received(Self.frame(.binary, data)) == .deliver(.binary(data)))
        #expect(machine.received(Self.frame(.binary, ByteBuffer())) == .deliver(.binary(ByteBuffer())))
    }

    @Test func silenceForTwoIntervalsIsTheEnd() {
        var machine = KeepAlive()
        #expect(machine.intervalPassed(readingPaused: false) == .ping)
        #expect(machine.intervalPassed(readingPaused: false) == .ping)
        machine.heard()
        #expect(machine.intervalPassed(readingPaused: false) == .ping)
        #expect(machine.intervalPassed(readingPaused: false) == .ping)
        // Frames wait for us: the silence is ours.
        #expect(machine.intervalPassed(readingPaused: true) == .ping)
        #expect(machine.intervalPassed(readingPaused: false) == .ping)
        #expect(machine.intervalPassed(readingPaused: false) == .giveUp)
    }
}
