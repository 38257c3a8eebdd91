import ComputeCore
import Foundation
import Testing

struct JSONTextTests {
    private func text(_ value: JSONValue) -> String { String(decoding: value.utf8, as: UTF8.self) }

    @Test func everyKindOfValueIsWritten() {
        #expect(
            text(.array([.null, .bool(true), .bool(false), .int(-7), .string("a")])) == #"[null,true,false,-7,"a"]"#)
        #expect(text(.object(["a": .object([:])])) == #"{"a":{}}"#)
        #expect(text(.array([])) == "[]")
    }

    @Test func whatJSONReservesIsEscapedAndNothingElse() {
        #expect(text(.string("\u{0}\u{1F}\n\r\t\"\\/é😀\u{7F}")) == "\"\\u0000\\u001f\\n\\r\\t\\\"\\\\/é😀\u{7F}\"")
    }

    @Test func numbersComeBackAsTheyWere() throws {
        for number in [0.1, -1e300, 1e21, 1.7976931348623157e308, -0.0, 12345.678] {
            #expect(try JSONDecoder().decode(Double.self, from: Data(JSONValue.double(number).utf8)) == number)
        }
        for number in [Double.infinity, -.infinity, .nan] { #expect(text(.double(number)) == "null") }
        #expect(text(.int(.min)) == "-9223372036854775808")
    }

    @Test func sortedDocumentsAreTheSameTextHoweverTheyWereMade() {
        let inner = JSONValue.object(["b": .int(1), "a": .int(2), "": .null])
        let value = JSONValue.object(["z": .array([inner]), "actor": inner])
        let sorted = #"{"actor":{"":null,"a":2,"b":1},"z":[{"":null,"a":2,"b":1}]}"#
        #expect(String(decoding: value.utf8(sortingKeys: true), as: UTF8.self) == sorted)
    }

    /// Read by a parser that is not ours.
    @Test func randomDocumentsComeBackWhole() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var state = seed
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        func string() -> String {
            String(
                String.UnicodeScalarView(
                    (0..<next(20)).compactMap { _ in Unicode.Scalar(UInt32(next(next(2) == 0 ? 128 : 0x11_0000))) }))
        }
        func document(_ depth: Int) -> JSONValue {
            switch next(depth > 3 ? 5 : 7) {
            case 0: .null
            case 1: .bool(next(2) == 0)
            case 2: .int(Int64(next(1 << 30)) - 1 << 29)
            case 3, 4: .string(string())
            case 5: .array((0..<next(5)).map { _ in document(depth + 1) })
            default:
                .object(Dictionary((0..<next(5)).map { _ in (string(), document(depth + 1)) }) { first, _ in first })
            }
        }
        for step in 0..<500 {
            let value = JSONValue.array([document(0)])
            let back = try JSONDecoder().decode(JSONValue.self, from: Data(value.utf8))
            #expect(back == value, "seed \(seed), step \(step)")
        }
    }
}
