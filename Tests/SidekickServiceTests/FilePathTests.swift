import ComputeCore
import SidekickService
import Testing

struct FilePathTests {
    @Test(arguments: [
        ("a.txt", "/home/u/a.txt", "/a.txt"),
        ("sub/a%20b.txt", "/home/u/sub/a b.txt", "/sub/a b.txt"),
        ("/etc/hosts", "/etc/hosts", nil),
        ("%2Fetc%2Fhosts", "/etc/hosts", nil),
        ("%2fetc%2fhosts", "/etc/hosts", nil),
        ("/", "/", nil),
        ("etc/hosts", "/home/u/etc/hosts", "/etc/hosts"),
        ("/etc//./hosts/", "/etc/hosts", nil),
        (".", "/home/u", nil),
        ("a+b", "/home/u/a+b", "/a+b"),
        ("caf%C3%A9", "/home/u/café", "/café"),
        ("..a", "/home/u/..a", "/..a"),
    ])
    func everySpellingNamesOneFile(raw: String, absolute: String, legacy: String?) throws {
        let path = try FilePath(rawTarget: raw, directory: "/home/u")
        #expect(path.absolute == absolute)
        #expect(path.legacy == legacy)
    }

    @Test(arguments: [
        "", "..", "a/../b", "..%2F%CC%81x", "a/..%2f%CC%81", "%2e%2e/etc", "/..", "%2E.", "a%00b", "%", "a%2", "a%zz",
        "%ff", "a/%C3",
        String(repeating: "a", count: 256), String(repeating: "a/", count: 2100),
    ])
    func hostilePathIsRefusedByField(raw: String) {
        let problem = #expect(throws: Problem.self) { try FilePath(rawTarget: raw, directory: "/home/u") }
        #expect(problem?.status == 400)
        #expect(problem?.field == "path")
    }

    @Test func plusIsASpaceInAQueryOnly() throws {
        #expect(try QueryReader("path=a+b%2Bc&x=1").string("path") == "a b+c")
        #expect(try QueryReader("content").bool("content") == nil)
        #expect(try QueryReader("content=true").bool("content") == true)
    }

    @Test func patternsMatchTheRawPath() {
        let rest: RoutePattern = "/files/{path...}"
        #expect(rest.match("/files//etc/hosts") == ["/etc/hosts"])
        #expect(rest.match("/files/%2Fetc") == ["%2Fetc"])
        #expect(rest.match("/files") == nil)
        let id: RoutePattern = "/terminals/{id}"
        #expect(id.match("/terminals/x") == ["x"])
        #expect(id.match("/terminals/") == nil)
        #expect(id.match("/terminals/x/y") == nil)
        #expect(id.match("//terminals/x") == nil)
    }
}

struct RequestBodyTests {
    @Test func emptyBodyReadsAsAnEmptyObject() throws {
        #expect(try RequestBody.parse(Array(" \r\n".utf8)).string("x") == nil)
    }

    @Test(arguments: ["{", "[]", "1", "\"x\"", "nul", String(repeating: "[", count: 100_000)])
    func garbageIsRefused(text: String) {
        let problem = #expect(throws: Problem.self) { try RequestBody.parse(Array(text.utf8)) }
        #expect(problem?.status == 400)
    }

    @Test func invalidUTF8IsRefused() {
        #expect(throws: Problem.self) { try RequestBody.parse([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]) }
    }
}
