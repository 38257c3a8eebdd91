import SidekickService
import Testing

struct DotEnvTests {
    @Test(arguments: [
        ("A=1", ["A": "1"]), ("export A=1\n", ["A": "1"]), ("A = 1 # one\n", ["A": "1"]), ("A=a#b", ["A": "a#b"]),
        ("A=\nB=2", ["A": "", "B": "2"]), ("A='$HOME # \\n'", ["A": "$HOME # \\n"]),
        (#"A="x\n\t\"\\\$y" # c"#, ["A": "x\n\t\"\\$y"]), ("A=\"one\ntwo\"\nB=3", ["A": "one\ntwo", "B": "3"]),
        ("A='it''s'", ["A": "'it''s'"]), ("A=\"unclosed\nB=2", ["A": "\"unclosed", "B": "2"]),
        ("A=1\r\nB=2\r\n", ["A": "1", "B": "2"]),
        ("# A=1\n\n  \nA=1\nA=2", ["A": "2"]), ("1A=x\nA B=x\n=x\nA-b.c=1", ["A-b.c": "1"]), ("", [:]), ("A", [:]),
        (#"A="\q""#, ["A": #"\q"#]), ("A= # nothing", ["A": ""]), ("export=1", ["export": "1"]),
    ])
    func filesAreReadAsPeopleMeanThem(text: String, variables: [String: String]) {
        let file = DotEnv(Array(text.utf8))
        #expect(file.variables == variables)
        #expect(file.bytes == Array(text.utf8), "what is not touched stays as it is")
    }

    @Test func changesLeaveCommentsOrderAndQuotingAlone() {
        var file = DotEnv(Array("# top\nexport A=1 # one\nB='two'  # two\n\nA=3\nC= # empty".utf8))
        file.set(["A": "x y", "B": "two", "C": "c", "D": "d\ne'f"])
        #expect(file.remove(["E"]) == [])
        let text = String(decoding: file.bytes, as: UTF8.self)
        #expect(text == "# top\nexport A=1 # one\nB='two'  # two\n\nA='x y'\nC= c # empty\nD=\"d\\ne'f\"\n")
        #expect(file.remove(["A", "A", "E"]) == ["A"])
        #expect(String(decoding: file.bytes, as: UTF8.self) == "# top\nB='two'  # two\n\nC= c # empty\nD=\"d\\ne'f\"\n")
    }

    /// Whatever is set reads back, whatever was there before.
    @Test(arguments: 0..<300)
    func valuesComeBackAsTheyWereSet(round: Int) {
        let seed = UInt64.random(in: 0 ... .max)
        var random = Mixer(state: seed)
        let alphabet = Array("AB=\"'\\\n\r\t #$`x{}é\u{0}")
        func text(_ limit: Int) -> String {
            String((0..<Int.random(in: 0...limit, using: &random)).map { _ in alphabet.randomElement(using: &random)! })
        }
        let before = Array(text(60).utf8)
        var file = DotEnv(before)
        #expect(file.bytes == before, "seed \(seed)")
        var wanted = file.variables
        for _ in 0..<6 {
            let name = ["A", "B", "AB", "x"].randomElement(using: &random)!
            let value = text(12)
            file.set([name: value])
            wanted[name] = value
            if let removed = ["A", "x"].randomElement(using: &random), Bool.random(using: &random) {
                #expect(file.remove([removed]) == (wanted[removed] == nil ? [] : [removed]), "seed \(seed)")
                wanted[removed] = nil
            }
        }
        #expect(file.variables == wanted, "seed \(seed)")
        #expect(
            DotEnv(file.bytes).variables == wanted,
            "seed \(seed): \(String(decoding: file.bytes, as: UTF8.self).debugDescription)")
    }

    @Test func hostileFilesTakeNoLongerThanOthers() {
        let quotes = String(repeating: "A=\"\n'\n", count: 40_000)
        let file = DotEnv(Array(quotes.utf8))
        #expect(file.bytes.count == quotes.utf8.count)
        let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        #expect(DotEnv(bytes).bytes == bytes)
    }
}

private struct Mixer: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        let mixed = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
        return mixed ^ (mixed >> 27)
    }
}
