import ComputeCore
import SidekickService
import Testing

@Suite struct SocketMessageTests {
    /// The worked example of the contract: subscribe to `signals`.
    static let subscribe: [UInt8] =
        [1, 0, 7] + Array("signals".utf8) + [0, 9] + Array("subscribe".utf8) + [0, 0, 0, 2, 0, 0]

    @Test func theContractsExampleIsUnderstood() throws {
        #expect(
            BinaryFrame(Self.subscribe)
                == BinaryFrame(kind: .subscribe, channel: "signals", type: "subscribe", data: [:]))
        let message = try SocketMessage(Self.subscribe, isText: false)
        #expect(message.type == "subscribe" && message.channel == "signals")
    }

    /// They come back in what the sender is told.
    @Test func whatIsEchoedIsShort() throws {
        let long = String(repeating: "x", count: EventHub.maxChannelBytes + 1)
        func message(type: String = "t", channel: String = "", id: String = "") throws(Problem) -> SocketMessage {
            let document = JSONValue.object([
                "type": .string(type), "channel": .string(channel), "data": .object(["cmd_id": .string(id)]),
            ])
            return try SocketMessage(Array(document.line.utf8), isText: true)
        }
        #expect(throws: Problem.self) { try message(type: long) }
        #expect(throws: Problem.self) { try message(channel: long) }
        #expect(throws: Problem.self) { try message(id: long).name("cmd_id") }
        let longest = String(long.dropLast())
        #expect(try message(channel: longest).channel == longest)
        #expect(try message(id: longest).name("cmd_id") == longest)
    }

    @Test func dataOfLengthZeroIsNoData() {
        let bytes = Array(Self.subscribe.dropLast(6)) + [0, 0, 0, 0]
        #expect(BinaryFrame(bytes)?.data == [:])
    }

    @Test func everyValueTypeIsRead() {
        let pairs: [UInt8] =
            [0, 4]
            + [0, 1, 97, 1, 0, 0, 0, 2] + Array("hi".utf8)
            + [0, 1, 98, 2, 0, 0, 0, 8, 0x40, 0x54, 0, 0, 0, 0, 0, 0]
            + [0, 1, 99, 3, 0, 0, 0, 1, 1]
            + [0, 1, 100, 4, 0, 0, 0, 2, 0x78, 0xFF]
        let bytes: [UInt8] = [3, 0, 0, 0, 1, 116] + [0, 0, 0, UInt8(pairs.count)] + pairs
        #expect(
            BinaryFrame(bytes)?.data == [
                "a": .string("hi"), "b": .double(80), "c": .bool(true), "d": .string("x\u{FFFD}"),
            ])
    }

    @Test func everyTruncatedFrameIsRefused() {
        for length in 0..<Self.subscribe.count {
            #expect(BinaryFrame(Array(Self.subscribe[..<length])) == nil)
        }
        #expect(BinaryFrame(Self.subscribe + [0]) == nil)
    }

    @Test(
        arguments: [
            [0, 0, 0, 0, 0, 0, 0, 0, 0], [9, 0, 0, 0, 0, 0, 0, 0, 0], [3, 0, 1, 0xFF, 0, 0, 0, 0, 0, 0],
            [3, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF], [3, 0, 0, 0, 0, 0, 0, 0, 2, 0xFF, 0xFF],
            [3, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 0, 7, 0, 0, 0, 0],
            [3, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 0, 2, 0, 0, 0, 0],
        ] as [[UInt8]])
    func hostileFramesAreRefused(bytes: [UInt8]) {
        #expect(BinaryFrame(bytes) == nil)
        #expect(throws: Problem.self) { try SocketMessage(bytes, isText: false) }
    }

    @Test(arguments: [true, false])
    func jsonIsReadInEitherOpcode(isText: Bool) throws {
        func parse(_ text: String) throws -> SocketMessage { try SocketMessage(Array(text.utf8), isText: isText) }
        let subscribe = try parse(#"{"type":"subscribe","channel":"c"}"#)
        #expect(subscribe.type == "subscribe" && subscribe.channel == "c")
        let input = try parse(#"{"type":"terminal:input","channel":"","data":{"terminal_id":"t","input":"ls\n"}}"#)
        #expect(input.channel == "")
        #expect(try input.data.string("input") == "ls\n")
    }

    @Test(arguments: [
        "", "null", "[]", "{", #"{"type":1}"#, #"{"type":"subscribe","channel":7}"#,
        #"{"type":"terminal:input","data":7}"#, String(repeating: "[", count: 100_000),
    ])
    func nonsenseIsRefusedWithAReason(text: String) {
        let problem = #expect(throws: Problem.self) { _ = try SocketMessage(Array(text.utf8), isText: true) }
        #expect(problem?.message.isEmpty == false)
        #expect(problem?.status == 400)
    }
}
