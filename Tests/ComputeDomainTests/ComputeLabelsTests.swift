import ComputeCore
import ComputeDomain
import Testing

struct ComputeLabelsTests {
    @Test func onlyWhatHasOneWayOfBeingWrittenIsALabel() {
        let labels = ComputeLabels.of([
            "text": .string("é"), "empty": .string(""), "": .string("x"), "int": .int(-7), "on": .bool(true),
            "off": .bool(false), "half": .double(0.5), "none": .null, "list": .array([]), "object": .object([:]),
        ])
        #expect(labels == ["text": "é", "empty": "", "": "x", "int": "-7", "on": "true", "off": "false"])
    }

    @Test func keysValuesAndTheirNumberAreBounded() {
        let fits = String(repeating: "k", count: ComputeLabels.maximumBytes)
        #expect(ComputeLabels.of([fits: .string(fits)]) == [fits: fits])
        #expect(ComputeLabels.of([fits + "k": .string("v"), "k": .string(fits + "v")]).isEmpty)
        let many = Dictionary(uniqueKeysWithValues: (100..<300).map { ("k\($0)", JSONValue.int($0)) })
        let labels = ComputeLabels.of(many)
        #expect(labels.count == ComputeLabels.maximumCount)
        #expect(labels["k100"] == "100" && labels["k164"] == nil, "the first by key")
    }
}
