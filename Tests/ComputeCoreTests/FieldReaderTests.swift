import ComputeCore
import Testing

@Suite struct FieldReaderTests {
    let reader = FieldReader([
        "text": .string("x"), "number": .int(5), "real": .double(5.0), "fraction": .double(5.5), "flag": .bool(true),
        "nothing": .null, "object": .object(["a": .string("1"), "b": .int(2)]), "huge": .double(1e300),
    ])

    @Test func readsWhatIsThere() throws {
        #expect(try reader.string("text") == "x")
        #expect(try reader.integer("number", in: 1...10) == 5)
        #expect(try reader.integer("real", in: 1...10) == 5)
        #expect(try reader.bool("flag") == true)
    }

    @Test func nullReadsAsAbsent() throws {
        #expect(try reader.string("nothing") == nil)
        #expect(try reader.integer("nothing", in: 0...1) == nil)
        let problem = #expect(throws: Problem.self) { try reader.requiredString("nothing") }
        #expect(problem?.field == "nothing" && problem?.status == 400)
    }

    @Test(arguments: ["number", "fraction", "huge", "text", "flag", "object"])
    func aBadNumberNamesItsField(_ name: String) {
        let problem = #expect(throws: Problem.self) { try reader.integer(name, in: 6...10) }
        #expect(problem?.field == name && problem?.status == 400)
    }

    @Test func aNestedFieldIsNamedWithItsPath() {
        let problem = #expect(throws: Problem.self) { try reader.strings("object") }
        #expect(problem?.field == "object.b")
    }

    @Test func onlyAnObjectIsADocument() {
        let problem = #expect(throws: Problem.self) { try FieldReader(.array([])) }
        #expect(problem?.message == "the request body must be a JSON object, not an array")
    }
}
