import OCIImages
import Testing

@Suite struct ImageManifestTests {
    static func digest(_ byte: String) -> String { "sha256:" + String(repeating: byte, count: 32) }

    @Test func theImageForThisKindOfMachineIsChosen() throws {
        let index = try ImageManifest(
            text: """
                {"schemaVersion":2,"manifests":[
                  {"digest":"\(Self.digest("01"))","size":1,"platform":{"architecture":"amd64","os":"windows"}},
                  {"digest":"\(Self.digest("02"))","size":1,"platform":{"architecture":"arm64","os":"linux"}},
                  {"digest":"\(Self.digest("03"))","size":1,"platform":{"architecture":"amd64","os":"linux"}},
                  {"digest":"\(Self.digest("04"))","size":1}]}
                """)
        #expect(try index.chosen(architecture: "amd64")?.digest == Self.digest("03"))
        #expect(try index.chosen(architecture: "arm64")?.digest == Self.digest("02"))
        #expect(throws: ImageError.self) { try index.chosen(architecture: "riscv64") }
    }

    @Test func aSingleImageOffersNoChoice() throws {
        let image = try ImageManifest(
            text: """
                {"schemaVersion":2,"config":{"digest":"\(Self.digest("01"))","size":7},
                 "layers":[{"digest":"\(Self.digest("02"))","size":100},{"digest":"\(Self.digest("03"))","size":20}]}
                """)
        #expect(try image.chosen(architecture: "amd64") == nil)
        #expect(try image.fetchBytes() == 120)
    }

    @Test(arguments: [
        "", "null", "[]", "{}", #"{"schemaVersion":1,"manifests":[]}"#, #"{"schemaVersion":2}"#,
        #"{"schemaVersion":2,"layers":[]}"#,
        #"{"schemaVersion":2,"manifests":[{"digest":"sha256:../../etc/passwd","size":1}]}"#,
        #"{"schemaVersion":2,"manifests":[{"digest":"md5:00","size":1}]}"#,
        #"{"schemaVersion":2,"manifests":[{"digest":"\#(digest("01"))","size":-1}]}"#,
        #"{"schemaVersion":2,"manifests":[{"digest":"\#(digest("01"))","size":99999999999999999999}]}"#,
        #"{"schemaVersion":2,"manifests":["#
            + Array(repeating: #"{"digest":"\#(digest("01"))","size":1}"#, count: 600).joined(separator: ",") + "]}",
        String(repeating: "[", count: 100_000),
    ]) func whatIsNoManifestIsRefused(text: String) {
        let error = #expect(throws: ImageError.self) { try ImageManifest(text: text) }
        #expect(error?.code == .unsupported)
    }

    @Test func absurdSizesDoNotOverflow() throws {
        let layer = #"{"digest":"\#(Self.digest("01"))","size":9223372036854775807}"#
        let image = try ImageManifest(
            text:
                #"{"schemaVersion":2,"config":{"digest":"\#(Self.digest("02"))","size":7},"layers":[\#(layer),\#(layer)]}"#
        )
        let error = #expect(throws: ImageError.self) { try image.fetchBytes() }
        #expect(error?.code == .tooLarge)
    }
}
