import Auth
import Crypto
import Testing

struct APIKeyTests {
    @Test func newKeysHaveTheDocumentedShapeAndDiffer() {
        let keys = (0..<100).map { _ in APIKey.random() }
        #expect(Set(keys.map(\.hash)).count == 100)
        for key in keys {
            #expect(key.text.wholeMatch(of: /csdk_[0-9a-f]{40}/) != nil)
            #expect(key.hash.wholeMatch(of: /[0-9a-f]{64}/) != nil)
            #expect(key.prefix == String(key.text.prefix(9)))
            #expect(APIKey(key.text)?.hash == key.hash)
        }
    }

    @Test func bothSpellingsOfAKeyHaveOneHash() throws {
        let digits = String(repeating: "0123456789", count: 4)
        let own = try #require(APIKey("csdk_" + digits))
        let other = try #require(APIKey("e2b_" + digits))
        #expect(own.hash == other.hash)
        #expect(own.prefix == other.prefix)
    }

    @Test(arguments: [
        "e2b_0123456789", "csdk_ABCDEF7890012345678901234567890123456789", "0123456789012345678901234567890123456789",
        "a preset, no: space".replacing(" ", with: "-"), String(repeating: "x", count: 256),
    ])
    func presetKeysAreHashedWhole(text: String) {
        guard let key = APIKey(text) else { return #expect(text.utf8.count < 16) }
        #expect(key.text == text)
        #expect(key.hash != APIKey("csdk_" + text.suffix(40).lowercased())?.hash)
        #expect(key.hash != APIKey(text + "x")?.hash)
    }

    @Test(arguments: [
        "", "short", String(repeating: "x", count: 15), String(repeating: "x", count: 257), "with a space in it, long",
        "newline-at-the-end-of-it\n", "nul-in-the-middle\0of-it", "not-ascii-but-long-enough-é",
    ])
    func whatCannotBeAKeyIsRefused(text: String) { #expect(APIKey(text) == nil) }

    @Test func anInterpolatedOrDumpedKeyDoesNotShowItself() {
        let key = APIKey.random()
        var dumped = ""
        dump(key, to: &dumped)
        for shown in ["\(key)", String(describing: key), String(reflecting: key), "\([key])", dumped] {
            #expect(!shown.contains(key.text.dropFirst(12)))
        }
    }

    @Test func theHashIsWhatItAlwaysWas() {
        // Frozen: another value would lock everybody out of a database that exists.
        #expect(
            APIKey("csdk_0000000000000000000000000000000000000000")?.hash
                == SHA256.hash(data: Array("computesdk api key v1\0hex\0\(String(repeating: "0", count: 40))".utf8))
                .map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())
    }
}
