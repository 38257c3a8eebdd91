import ComputeCore
import ComputeDomain
import EventSourcing
import Testing

private let name = SecretName("db.password")!

struct SecretTests {
    typealias Outcome = Result<[SecretEvent], Secret.Rejection>
    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var given: [SecretEvent]
        var when: Secret.Command
        var then: Outcome
        var testDescription: String { name }
    }

    static let one = [SecretEvent.written(name, version: 1)]
    static let gone = one + [.deleted(name, version: 1)]
    static let table: [Row] = [
        Row(name: "the first", given: [], when: .write(name, isNew: true), then: .success(one)),
        Row(name: "the first by replacing", given: [], when: .write(name, isNew: false), then: .success(one)),
        Row(
            name: "the next", given: one, when: .write(name, isNew: false),
            then: .success([.written(name, version: 2)])),
        Row(name: "new where one is", given: one, when: .write(name, isNew: true), then: .failure(.alreadyThere)),
        Row(name: "delete", given: one, when: .delete(name), then: .success([.deleted(name, version: 1)])),
        Row(name: "delete nothing", given: [], when: .delete(name), then: .failure(.absent)),
        Row(name: "delete twice", given: gone, when: .delete(name), then: .failure(.absent)),
        Row(
            name: "versions go on after the end", given: gone, when: .write(name, isNew: true),
            then: .success([.written(name, version: 2)])),
    ]

    @Test(arguments: table) func givenEventsACommandLeadsTo(row: Row) {
        let decided = Result { () throws(Secret.Rejection) in
            try Secret.decide(row.when, Secret.replay(row.given))
        }
        #expect(decided == row.then)
    }

    @Test func eventsComeBackAsTheyWereRecorded() throws {
        for event in Self.gone + [.written(name, version: .max)] {
            let recorded = event.recorded
            #expect(try SecretEvent(type: recorded.type, data: recorded.data) == event)
        }
        #expect(try SecretEvent(type: "SecretPainted", data: .object([:])) == nil)
    }

    @Test(arguments: [
        #"{"version":1}"#, #"{"name":"a b","version":1}"#, #"{"name":"a"}"#, #"{"name":"a","version":0}"#, "[]",
    ])
    func dataThatDoNotFitAreCorrupt(_ text: String) throws {
        let data = try JSONDocument.parse(Array(text.utf8))
        let error = #expect(throws: EventStoreError.self) { try SecretEvent(type: "SecretWritten", data: data) }
        #expect(error?.code == .corrupt)
    }

    @Test func noTwoPairsOfGroupAndNameShareAStream() {
        let streams = [("g", "a"), ("g:a", "b"), ("g", "b"), ("1:g", "a"), ("g:1:g", "a")].compactMap { group, text in
            SecretName(text).map { StreamID.secret($0, in: GroupID(group)) }
        }
        #expect(Set(streams.map(\.rawValue)).count == streams.count)
        #expect(streams.allSatisfy { StreamID(rawValue: $0.rawValue) == $0 })
    }

    @Test(arguments: ["", ".a", "-a", "_a", "a b", "a/b", "é", "a\0", String(repeating: "a", count: 129)])
    func whatCannotBeANameIsNone(_ text: String) { #expect(SecretName(text) == nil) }
}
