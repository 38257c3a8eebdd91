import ComputeCore
import SecretSealing
import Testing

struct SealingTests {
    private static let old = "old:" + [UInt8](repeating: 1, count: 32).base64URL
    private static let new = "new:" + [UInt8](repeating: 2, count: 32).base64URL
    private let place = SecretPlace(group: GroupID("g_one"), name: "token", version: 1)
    private let value = Array("canary-5d1f".utf8)

    @Test func whatWasSealedOpensAtItsPlace() throws {
        let keys = try MasterKeys(parsing: Self.old)
        #expect(try keys.open(keys.seal(value, at: place), at: place) == value)
        #expect(try keys.open(keys.seal([], at: place), at: place).isEmpty)
    }

    @Test func aCopyOpensInNoOtherGroupNameOrVersion() throws {
        let keys = try MasterKeys(parsing: Self.old)
        let sealed = try keys.seal(value, at: place)
        for other in [
            SecretPlace(group: GroupID("g_two"), name: "token", version: 1),
            SecretPlace(group: GroupID("g_one"), name: "tokem", version: 1),
            SecretPlace(group: GroupID("g_one"), name: "token", version: 2),
            SecretPlace(group: GroupID("g_onet"), name: "oken", version: 1),
        ] {
            #expect(throws: SealingError.notAuthentic) { try keys.open(sealed, at: other) }
        }
    }

    @Test func everyChangedByteIsNoticed() throws {
        let keys = try MasterKeys(parsing: Self.old)
        let sealed = try keys.seal(value, at: place)
        for index in sealed.ciphertext.indices {
            var changed = sealed
            changed.ciphertext[index] ^= 1
            #expect(throws: SealingError.notAuthentic) { try keys.open(changed, at: place) }
        }
        for index in sealed.wrappedKey.indices {
            var changed = sealed
            changed.wrappedKey[index] ^= 1
            #expect(throws: SealingError.notAuthentic) { try keys.open(changed, at: place) }
        }
    }

    @Test func sealingTwiceGivesNothingInCommonAndNoPlainText() throws {
        let keys = try MasterKeys(parsing: Self.old)
        let (one, two) = (try keys.seal(value, at: place), try keys.seal(value, at: place))
        #expect(one.ciphertext != two.ciphertext)
        #expect(one.wrappedKey != two.wrappedKey)
        #expect(!"\(one)".contains("canary"))
    }

    @Test func rotationRewrapsTheDataKeyAndThenTheOldKeyIsNotNeeded() throws {
        let sealed = try MasterKeys(parsing: Self.old).seal(value, at: place)
        let both = try MasterKeys(parsing: Self.new + "\n" + Self.old)
        let rewrapped = try #require(try both.rewrap(sealed, at: place))
        #expect(rewrapped.ciphertext == sealed.ciphertext)
        #expect(try both.rewrap(rewrapped, at: place) == nil)
        let onlyNew = try MasterKeys(parsing: Self.new)
        #expect(try onlyNew.open(rewrapped, at: place) == value)
        let oldID = try #require(MasterKeyID("old"))
        #expect(throws: SealingError.unknownMasterKey(oldID)) { try onlyNew.open(sealed, at: place) }
    }

    @Test(arguments: [
        "", "# none", "old", "OLD:x", "old:short", SealingTests.old + "\n" + SealingTests.old, ":" + SealingTests.old,
        SealingTests.old + "=",
    ])
    func keysThatCannotBeReadAreRefusedWithoutBeingQuoted(_ text: String) {
        let error = #expect(throws: MasterKeysError.self) { try MasterKeys(parsing: text) }
        #expect(error?.description.contains("AQEB") == false)
    }

    @Test func keysAreNotPrinted() throws {
        let keys = try MasterKeys(parsing: Self.old)
        var dumped = ""
        dump(keys, to: &dumped)
        #expect("\(keys)" == "…")
        #expect(!dumped.contains("AQEB"))
    }
}
