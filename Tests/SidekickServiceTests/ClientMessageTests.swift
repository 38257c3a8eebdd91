import ComputeCore
import LinuxSystem
import SidekickService
import Testing

@Suite struct ClientMessageTests {
    /// The worked example of the contract: subscribe to `signals`.
    static let subscribe: [UInt8] =
        [1, 0, 7] + Array("signals".utf8) + [0, 9] + Array("subscribe".utf8) + [0, 0, 0, 2, 0, 0]

    @Test func theContractsExampleIsUnderstood() {
        #expect(
            BinaryFrame(Self.subscribe)
                == BinaryFrame(kind: .subscribe, channel: "signals", type: "subscribe", data: [:]))
        #expect(ClientMessage(Self.subscribe, isText: false) == .subscribe(channel: "signals"))
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

    @Test(arguments: [
        [0, 0, 0, 0, 0, 0, 0, 0, 0], [9, 0, 0, 0, 0, 0, 0, 0, 0], [3, 0, 1, 0xFF, 0, 0, 0, 0, 0, 0],
        [3, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF], [3, 0, 0, 0, 0, 0, 0, 0, 2, 0xFF, 0xFF],
        [3, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 0, 7, 0, 0, 0, 0], [3, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 0, 2, 0, 0, 0, 0],
    ] as [[UInt8]])
    func hostileFramesAreRefused(bytes: [UInt8]) {
        #expect(BinaryFrame(bytes) == nil)
        guard case .refused = ClientMessage(bytes, isText: false) else {
            Issue.record("accepted")
            return
        }
    }

    @Test(arguments: [true, false])
    func jsonIsReadInEitherOpcode(isText: Bool) {
        func parse(_ text: String) -> ClientMessage { ClientMessage(Array(text.utf8), isText: isText) }
        #expect(parse(#"{"type":"subscribe","channel":"c"}"#) == .subscribe(channel: "c"))
        #expect(parse(#"{"type":"unsubscribe","channel":"c"}"#) == .unsubscribe(channel: "c"))
        #expect(
            parse(#"{"type":"terminal:input","channel":"","data":{"terminal_id":"t","input":"ls\n"}}"#)
                == .input(TerminalID("t"), "ls\n"))
        #expect(
            parse(#"{"type":"terminal:resize","data":{"terminal_id":"t","cols":120.0,"rows":1e9}}"#)
                == .resize(TerminalID("t"), TerminalSize(columns: 120, rows: 1000)))
    }

    @Test(arguments: [
        "", "null", "[]", "{", #"{"type":1}"#, #"{"type":"subscribe"}"#, #"{"type":"launch"}"#,
        #"{"type":"terminal:input","data":{"terminal_id":"t"}}"#, #"{"type":"terminal:input","data":7}"#,
        #"{"type":"terminal:resize","data":{"terminal_id":"t","cols":"wide","rows":1}}"#,
        String(repeating: "[", count: 100_000),
    ])
    func nonsenseIsRefusedWithAReason(text: String) {
        guard case .refused(let reason) = ClientMessage(Array(text.utf8), isText: true) else {
            Issue.record("accepted \(text.prefix(80))")
            return
        }
        #expect(!reason.isEmpty)
    }
}
