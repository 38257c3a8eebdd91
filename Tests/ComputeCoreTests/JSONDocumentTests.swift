import ComputeCore
import Testing

struct JSONDocumentTests {
    private func parse(_ text: String) throws(Problem) -> JSONValue { try JSONDocument.parse(Array(text.utf8)) }

    @Test func readsEveryKindOfValue() throws {
        let value = try parse(#" {"a":[1,-2.5,true,false,null,"x\n\u00e9\ud83d\ude00"],"b":{}} "#)
        #expect(
            value
                == .object([
                    "a": .array([.int(1), .double(-2.5), .bool(true), .bool(false), .null, .string("x\né😀")]),
                    "b": .object([:]),
                ]))
    }

    @Test(arguments: ["", " ", "\n\t "]) func nothingReadsAsAnEmptyObject(_ text: String) throws {
        #expect(try parse(text) == .object([:]))
    }

    @Test func wholeNumbersStayWholeUntilTheyDoNotFit() throws {
        #expect(try parse("9223372036854775807") == .int(.max))
        #expect(try parse("9223372036854775808") == .double(9_223_372_036_854_775_808))
    }

    @Test(arguments: [
        "{", "}", "[1,]", "{\"a\":1,}", "{a:1}", "{\"a\"}", "{\"a\":1 \"b\":2}", "01", "1.", ".5", "+1", "-", "1e",
        "1e999",
        "-1e999", "nul", "tru", "\"abc", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"",
        "\"a\nb\"",
        "{} {}", "[1] x", "NaN", "Infinity", "'a'", "/**/{}", "\u{FEFF}{}",
        String(repeating: "[", count: 100_000), String(repeating: "{\"a\":", count: 100_000),
    ]) func garbageIsRefused(_ text: String) {
        let problem = #expect(throws: Problem.self) { try parse(text) }
        #expect(problem?.status == 400)
    }

    @Test(arguments: [
        (#"{"network":{"internet":false,"internet":true}}"#, "network.internet"),
        (#"{"a":[{"b":1},{"c":{"d":1,"d":2}}]}"#, "a[1].c.d"), (#"[[{"a":1,"a":1}]]"#, "[0][0].a"),
        (#"{"a":{"b":1},"a":{}}"#, "a"),
    ]) func aKeyTwiceIsRefusedByItsWholePath(_ text: String, _ path: String) {
        let problem = #expect(throws: Problem.self) { try parse(text) }
        #expect(problem?.field == path && problem?.message.contains(" \(path) twice") == true)
    }

    @Test func aKeyTwiceIsRefusedByName() {
        let problem = #expect(throws: Problem.self) { try parse(#"{"name":"a","\u006eame":"b"}"#) }
        #expect(problem?.field == "name")
    }

    @Test(
        arguments: [[0xFF], [0x22, 0xC3, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22], [0x22, 0xC0, 0x80, 0x22]] as [[UInt8]])
    func invalidUTF8IsRefused(_ bytes: [UInt8]) {
        #expect(throws: Problem.self) { try JSONDocument.parse(bytes) }
    }

    @Test func depthIsBounded() throws {
        let deepest = JSONDocument.maxDepth
        _ = try parse(String(repeating: "[", count: deepest) + "1" + String(repeating: "]", count: deepest))
        #expect(throws: Problem.self) {
            try parse(String(repeating: "[", count: deepest + 1) + "1" + String(repeating: "]", count: deepest + 1))
        }
    }

    /// Cut anywhere, a document is an error, and never a crash or another document.
    @Test func everyTruncationIsAnError() {
        let bytes = Array(#"{"a":[1,2.5e3,{"b":"\u00e9"}],"c":null}"#.utf8)
        for length in 1..<bytes.count {
            #expect(throws: Problem.self) { try JSONDocument.parse(Array(bytes.prefix(length))) }
        }
    }
}
