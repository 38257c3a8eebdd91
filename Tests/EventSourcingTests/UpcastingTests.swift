import ComputeCore
import EventSourcing
import Testing

struct UpcastingTests {
    private let upcasting = Upcasting([
        "Moved": [
            { fields in ["place": fields["to"] ?? .null] },
            { fields in fields.merging(["unit": .string("m")]) { old, _ in old } },
        ]
    ])

    @Test func eachShapeIsBroughtToTodays() throws {
        #expect(upcasting.schema(of: "Moved") == 3 && upcasting.schema(of: "Other") == 1)
        let today = JSONValue.object(["place": .int(5), "unit": .string("m")])
        #expect(try upcasting.current(.object(["to": .int(5)]), of: "Moved", schema: 1) == today)
        #expect(try upcasting.current(.object(["place": .int(5)]), of: "Moved", schema: 2) == today)
        #expect(try upcasting.current(today, of: "Moved", schema: 3) == today)
        #expect(try upcasting.current(.object(["to": .int(5)]), of: "Other", schema: 1) == .object(["to": .int(5)]))
    }

    @Test func aShapeThatNobodyKnowsIsNoGuess() {
        for (type, schema) in [("Moved", 4), ("Moved", 0), ("Moved", -1), ("Other", 2)] {
            let error = #expect(throws: EventStoreError.self) {
                try upcasting.current(.object([:]), of: type, schema: schema)
            }
            #expect(error?.code == .corrupt)
        }
    }
}
