import ComputeCore
import Foundation
import Testing

@Suite struct IdentifierTests {
    @Test func aRandomIdIsOneSafeLabel() {
        let ids = (0..<1000).map { _ in ComputeID.random() }
        #expect(Set(ids).count == 1000)
        for id in ids {
            #expect(id.rawValue.utf8.count == 20)
            #expect(ComputeID(id.rawValue) == id)
        }
    }

    @Test(arguments: [
        "", "short", "1startswithdigit", "Uppercase123", "has-hyphen-80", "has_underscore", "has.dot.in.it",
        "ünicode123",
        "a\u{0}aaaaaaaaa", "abcdefgh ", String(repeating: "a", count: 33),
    ])
    func whatIsNotAnIdIsRefused(_ text: String) throws {
        #expect(ComputeID(text) == nil)
        let json = try JSONEncoder().encode([text])
        #expect(throws: DecodingError.self) { try JSONDecoder().decode([ComputeID].self, from: json) }
    }

    @Test func idsTravelAsPlainStringsAndNumbers() throws {
        struct All: Codable, Equatable {
            var compute: ComputeID, group: GroupID, member: MemberName, generation: Generation
        }
        let all = All(
            compute: ComputeID("abcdefgh1")!, group: .default, member: MemberName("m1"), generation: .first.next)
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let json = try encoder.encode(all)
        #expect(
            String(decoding: json, as: UTF8.self)
                == #"{"compute":"abcdefgh1","generation":2,"group":"default","member":"m1"}"#)
        #expect(try JSONDecoder().decode(All.self, from: json) == all)
    }
}
