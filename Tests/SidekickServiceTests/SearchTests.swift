import ComputeCore
import NIOHTTP1
import SidekickService
import Testing

struct LinePatternTests {
    private static func match(_ pattern: String, _ line: String, regex: Bool = true, folded: Bool = false) throws
        -> String?
    {
        var pattern = try LinePattern(pattern, isRegex: regex, ignoringCase: folded)
        let bytes = Array(line.utf8)
        return bytes.withUnsafeBytes { pattern.search($0) }.map { String(decoding: bytes[$0], as: UTF8.self) }
    }

    @Test(
        arguments: [
            ("abc", "xxabcxx", "abc"), ("a.c", "aéc", "aéc"), ("^a+", "aaab", "aaa"), ("a+?", "aaab", "a"),
            ("b$", "ab", "b"),
            ("a|ab|abc", "abc", "a"), ("abc|ab", "abc", "abc"), ("(ab){2,3}", "abababab", "ababab"),
            ("[^a-c]+", "abcxyz", "xyz"),
            ("\\bfoo\\b", "a foo b", "foo"), ("\\d{3}-\\d+", "tel 555-1234", "555-1234"), ("[à-ü]+", "xéèy", "éè"),
            ("日.語", "日本語", "日本語"),
            ("[^é]", "éa", "a"), ("\\x41\\u0042", "xAB", "AB"), ("x*", "aaa", ""), ("(?:a|b)+c", "zabac", "abac"),
            ("(?<n>q)", "q", "q"),
            ("a{,2}", "a{,2}", "a{,2}"), ("[]x]", "]", "]"), ("\\.", "a.b", "."),
            ("[\\w.]+@[\\w.]+", "<me@x.org>", "me@x.org"),
            ("😀+", "a😀😀", "😀😀"), (".", "\u{10FFFF}", "\u{10FFFF}"), ("", "x", nil), ("\\S+", "  ab ", "ab"),
        ] as [(String, String, String?)])
    func regularExpressionsMatchAsElsewhere(_ pattern: String, _ line: String, _ expected: String?) throws {
        guard let expected else {
            #expect(throws: Problem.self) { try Self.match(pattern, line) }
            return
        }
        #expect(try Self.match(pattern, line) == expected)
    }

    @Test(arguments: [
        ("abc", "ab"), ("^b", "ab"), ("a$", "ab"), ("\\bfoo\\b", "foobar"), ("[^é]", "é"), (".", ""), ("A", "a"),
    ])
    func whatDoesNotMatchIsNotFound(_ pattern: String, _ line: String) throws {
        #expect(try Self.match(pattern, line) == nil)
    }

    @Test func caseIsIgnoredWhenAsked() throws {
        #expect(try Self.match("HeLLo", "say hello", folded: true) == "hello")
        #expect(try Self.match("HeLLo", "say hEllO", regex: false, folded: true) == "hEllO")
        #expect(try Self.match("[a-c]+", "xABCx", folded: true) == "ABC")
        #expect(try Self.match("a.c", "a.c abc", regex: false) == "a.c")
    }

    @Test(arguments: [
        "(", ")", "[", "a**b(", "*", "(?=a)", "(?<=a)b", "(?<!a)b", "(a)\\1", "\\", "a{2,1}", "a{1001}", "[z-a]",
        "[[:alpha:]]",
        "\\q", "\\x4", "(?i)a", "\\u{110000}",
    ])
    func whatIsBrokenOrUnsupportedIsRefusedByField(_ pattern: String) {
        let problem = #expect(throws: Problem.self) { try Self.match(pattern, "a") }
        #expect(problem?.field == "pattern")
    }

    @Test(arguments: [
        "(a+)+$", "(a|aa)+$", "(a*)*b", "(.*)(.*)(.*)(.*)x", "((a{1,30}){1,30})?b", "(){1000}{1000}{1000}",
        String(repeating: "(", count: 99) + String(repeating: ")", count: 99),
    ])
    func noPatternTakesForEver(_ pattern: String) throws {
        let start = processorTime()
        do { _ = try Self.match(pattern, String(repeating: "a", count: 3000)) } catch is Problem {}
        #expect(processorTime() - start < .seconds(10))
    }
}

struct SearchTests {
    private static func started(_ body: @escaping @Sendable (SidekickPlace) async throws -> Void) async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            let made = try await place.command(
                """
                mkdir -p src/lib node_modules; printf 'x\\000needle' > src/bin
                printf 'one\\nneedle here\\nthree\\nfour needle\\n' > src/a.txt
                printf 'NEEDLE\\n' > src/lib/b.c; printf 'needle' > node_modules/n.txt
                ln -s ../src node_modules/l; ln -s a.txt src/link
                """)
            #expect(made.exitCode == 0)
            try await body(place)
            #expect(place.errors == [])
        }
    }

    private static func results(_ answer: SidekickPlace.Answer) -> [[String: JSONValue]] {
        guard case .array(let results)? = answer.json["data"]?.members["results"] else { return [] }
        return results.map(\.members).sorted { ($0["path"]?.text ?? "") < ($1["path"]?.text ?? "") }
    }

    @Test func linesAreFoundWithWhatIsAroundThem() async throws {
        try await Self.started { place in
            let search = { (fields: String) in
                try await place.authorized(.POST, "/files/search", body: #"{"pattern":"needle"\#(fields)}"#)
            }
            let all = try await search(#","ignore":["node_modules"],"context":1"#)
            #expect(all.status == 200, "\(all.body)")
            let results = Self.results(all)
            #expect(results.count == 2)
            #expect(results[0]["path"]?.text == "src/a.txt" && results[0]["line"] == .int(2))
            #expect(results[0]["column"] == .int(1) && results[0]["length"] == .int(6))
            #expect(
                results[0]["before"] == .array([.string("one")]) && results[0]["after"] == .array([.string("three")]))
            #expect(results[1]["line"] == .int(4) && results[1]["column"] == .int(6))
            // The binary file was looked at and left out; links were not followed.
            #expect(all.json["data"]?.members["skipped"] == .int(1))

            #expect(
                Self.results(try await search(#","case_sensitive":false,"glob":"*.c""#)).map { $0["path"]?.text } == [
                    "src/lib/b.c"
                ])
            #expect(Self.results(try await search(#","path":"src/a.txt""#)).count == 2)
            let one = try await search(#","max_results":1"#)
            #expect(one.json["data"]?.members["limit"]?.text == "results" && Self.results(one).count == 1)
            let regex = try await place.authorized(
                .POST, "/files/search", body: #"{"pattern":"^four\\s+n\\w+$","regex":true}"#)
            #expect(Self.results(regex).map { $0["line"] } == [.int(4)])
        }
    }

    @Test func resultsComeAsAStreamWhenAsked() async throws {
        try await Self.started { place in
            let answer = try await place.authorized(
                .POST, "/files/search", body: #"{"pattern":"needle","stream":true}"#)
            #expect(answer.headers.first(name: "Content-Type") == "application/x-ndjson")
            let lines = answer.body.split(separator: "\n").map { JSONValue.members(of: String($0)) }
            #expect(lines.count == 4)
            #expect(lines.last?["done"] == .bool(true) && lines.last?["count"] == .int(3))
        }
    }

    @Test func namesAreFoundByGlob() async throws {
        try await Self.started { place async throws in
            func find(_ fields: String) async throws -> [String?] {
                let answer = try await place.authorized(.POST, "/files/find", body: fields)
                return Self.results(answer).map { $0["path"]?.text }
            }
            #expect(try await find(#"{"glob":"*.txt"}"#) == ["node_modules/n.txt", "src/a.txt"])
            #expect(try await find(#"{"glob":["*.c","bin"],"path":"src"}"#) == ["bin", "lib/b.c"])
            #expect(try await find(#"{"type":"directory","ignore":"node_modules"}"#) == ["src", "src/lib"])
            #expect(try await find(#"{"type":"symlink"}"#) == ["node_modules/l", "src/link"])
            #expect(try await find(#"{"path":"src/a.txt"}"#) == ["a.txt"])
        }
    }

    @Test func brokenSearchesAreRefusedByField() async throws {
        try await Self.started { place in
            for (fields, field) in [
                (#""pattern":"""#, "pattern"), (#""pattern":5"#, "pattern"),
                (#""pattern":"(","regex":true"#, "pattern"),
                (#""pattern":"a\nb""#, "pattern"), (#""pattern":"a","max_results":0"#, "max_results"),
                (#""pattern":"a","max_results":20000"#, "max_results"), (#""pattern":"a","context":11"#, "context"),
                (#""glob":"*""#, "pattern"), (#""pattern":"a","glob":"[""#, "glob"),
                (#""pattern":"a","ignore":[1]"#, "ignore"),
                (#""pattern":"a","timeout_ms":1"#, "timeout_ms"), (#""pattern":"a","type":"door""#, "type"),
                (#""pattern":"a","path":"missing""#, "path"), (#""pattern":"a","path":"/proc""#, "path"),
            ] {
                let answer = try await place.authorized(.POST, "/files/search", body: "{\(fields)}")
                #expect(
                    (400...404).contains(answer.status) && answer.text("field") == field, "\(fields): \(answer.body)")
            }
        }
    }

    @Test func longLinesAreCutAndTimeIsKept() async throws {
        try await Self.started { place in
            let made = try await place.command(
                "(head -c 3000000 /dev/zero | tr '\\0' a; printf 'needle\\nneedle') > long")
            #expect(made.exitCode == 0)
            let found = try await place.authorized(.POST, "/files/search", body: #"{"pattern":"needle","path":"long"}"#)
            #expect(Self.results(found).map { $0["line"] } == [.int(2)])
            let hard = try await place.authorized(
                .POST, "/files/search", body: #"{"pattern":"(a|aa)+b","regex":true,"timeout_ms":10,"path":"/usr"}"#)
            #expect(hard.json["data"]?.members["limit"]?.text == "time", "\(hard.body.prefix(300))")
        }
    }
}
