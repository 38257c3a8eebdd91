import ComputeCore
import SidekickService
import Testing

struct GlobTests {
    @Test(arguments: [
        ("node_modules", "node_modules"), ("node_modules", "a/node_modules"), ("node_modules", "a/node_modules/x/y"),
        ("node_modules/", "a/node_modules"), ("*.log", "a/b.log"), ("*.log", ".log"), ("/build", "build/x"),
        ("src/*.c", "src/a.c"), ("a/**", "a/b"), ("a/**", "a/b/c"), ("**/x", "x"), ("**/x", "a/b/x"),
        ("a/**/b", "a/b"), ("a/**/b", "a/x/y/b/z"), ("**", "a"), ("a?c", "aéc"), ("[a-c]x", "bx"), ("[!a-c]x", "dx"),
        ("[]]", "]"), ("[a-]", "-"), ("\\*", "*"), ("./src", "src"), ("a**b", "a/axxb"), ("*a*b*c*", "xaxbxcx"),
        ("日[末-本]", "日本"), ("**/a/*/c", "a/a/b/c"),
    ])
    func matches(_ pattern: String, _ path: String) throws {
        #expect(try Glob(pattern).matches(path))
    }

    @Test(arguments: [
        ("node_modules", "node_modules2"), ("*.log", "a.logs"), ("/build", "a/build"), ("src/*.c", "a/src/a.c"),
        ("src/*.c", "src/b/a.c"), ("a/**", "a"), ("a/**/b", "a/xb"), ("a?c", "ac"), ("a?c", "a/c"), ("[a-c]x", "dx"),
        ("\\*", "a"), ("a", ""), ("A", "a"),
    ])
    func doesNotMatch(_ pattern: String, _ path: String) throws {
        #expect(try !Glob(pattern).matches(path))
    }

    @Test(arguments: [
        "", "/", "//", "[a", "[", "a\\", "..", "a/../b", "[z-a]", "a\0", String(repeating: "a", count: 1025),
    ])
    func aBrokenPatternIsRefusedByItsField(_ pattern: String) {
        let problem = #expect(throws: Problem.self) { try GlobSet([pattern], field: "ignore") }
        #expect(problem?.status == 400)
        #expect(problem?.field == "ignore")
    }

    @Test func noPatternMakesMatchingSlow() throws {
        let glob = try Glob(String(repeating: "*a", count: 500))
        let path = String(repeating: "a", count: 499) + String(repeating: "b", count: 3000)
        let start = processorTime()
        #expect(!glob.matches(path))
        #expect(
            try !Glob(Array(repeating: "**/a", count: 200).joined(separator: "/")).matches(
                Array(repeating: "a", count: 199).joined(separator: "/") + String(repeating: "/b", count: 1000)))
        #expect(processorTime() - start < .seconds(5))
    }

    @Test func oneOfSeveralPatternsIsEnough() throws {
        let set = try GlobSet(["*.o", "target"])
        #expect(set.matches("x/a.o"))
        #expect(set.matches("target/debug"))
        #expect(!set.matches("x/a.c"))
        #expect(try !GlobSet([]).matches("x"))
    }
}
