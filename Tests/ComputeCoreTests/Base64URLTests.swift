import ComputeCore
import Testing

struct Base64URLTests {
    /// The vectors of RFC 4648 §10 without padding, and the two characters that differ from plain base64.
    @Test(arguments: [
        ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"),
        ("foobar", "Zm9vYmFy"),
    ]) func readsWhatItWrites(_ plain: String, _ text: String) {
        #expect(plain.utf8.base64URL == text)
        #expect([UInt8](base64URL: text) == Array(plain.utf8))
    }

    @Test func theLastTwoLettersAreSafeInURLs() {
        #expect([0xFB, 0xEF, 0xFF].base64URL == "--__")
        #expect([UInt8](base64URL: "--__") == [0xFB, 0xEF, 0xFF])
    }

    @Test(arguments: [
        "Zg==", "Zg=", "=", "++//", "+w", "Zm 9v", "Zm9v\n", "A", "Zm9vY", "Zh", "Zm9", "Zm9v.Zg", "Zé", "Zg\0",
    ]) func everyOtherSpellingIsRefused(_ text: String) {
        #expect([UInt8](base64URL: text) == nil)
    }

    @Test func everyByteSurvivesEveryLength() {
        for count in 0..<260 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            #expect([UInt8](base64URL: bytes.base64URL) == bytes)
        }
    }

    @Test func hexIsLowerCaseAndTwoDigitsAByte() {
        #expect([0x00, 0x0A, 0xFF].hex == "000aff")
    }
}
