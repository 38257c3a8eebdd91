import ComputeCore
import FoundationEssentials
import SidekickService
import Testing

/// The body of `POST /servers`, and what is decided about definitions without starting one.
struct ServerDefinitionTests {
    private static func read(_ body: String) throws -> ServerDefinition {
        try ServerDefinition.read(RequestBody.parse(Array(body.utf8)), directory: "/home/user")
    }

    @Test func everythingHasTheDefaultOfTheContract() throws {
        let definition = try Self.read(#"{"slug":"web","command":"npm start","unknown":1}"#)
        #expect(definition.start == "npm start" && definition.directory == "/home/user")
        #expect(definition.autostart && !definition.strictPort && definition.port == nil)
        #expect(definition.restartPolicy == .never && definition.maxRestarts == 0)
        #expect(definition.restartDelayMilliseconds == 1000 && definition.stopTimeoutMilliseconds == 10_000)
        #expect(definition.healthCheck == nil)
        let checked = try Self.read(#"{"slug":"web","start":"a","command":"b","path":"app","health_check":{}}"#)
        #expect(checked.start == "a" && checked.directory == "/home/user/app" && checked.originalPath == "app")
        #expect(checked.healthCheck == ServerDefinition.HealthCheck())
    }

    static let bad: [(body: String, field: String)] = [
        ("{}", "slug"), (#"{"slug":"a"}"#, "start"), (#"{"slug":"","start":"x"}"#, "slug"),
        (#"{"slug":"../a","start":"x"}"#, "slug"), (#"{"slug":"a/b","start":"x"}"#, "slug"),
        (#"{"slug":"-a","start":"x"}"#, "slug"), (#"{"slug":5,"start":"x"}"#, "slug"),
        (#"{"slug":"a","start":""}"#, "start"), (#"{"slug":"a","start":"a\u0000b"}"#, "start"),
        (#"{"slug":"a","command":7}"#, "command"), (#"{"slug":"a","start":"x","path":"../x"}"#, "path"),
        (#"{"slug":"a","start":"x","port":0}"#, "port"), (#"{"slug":"a","start":"x","port":65536}"#, "port"),
        (#"{"slug":"a","start":"x","port":"80"}"#, "port"), (#"{"slug":"a","start":"x","strict_port":true}"#, "port"),
        (#"{"slug":"a","start":"x","environment":{"A=B":"1"}}"#, "environment.A=B"),
        (#"{"slug":"a","start":"x","environment":{"A":1}}"#, "environment.A"),
        (#"{"slug":"a","start":"x","restart_policy":"sometimes"}"#, "restart_policy"),
        (#"{"slug":"a","start":"x","max_restarts":-1}"#, "max_restarts"),
        (#"{"slug":"a","start":"x","restart_delay_ms":1e300}"#, "restart_delay_ms"),
        (#"{"slug":"a","start":"x","stop_timeout_ms":300001}"#, "stop_timeout_ms"),
        (#"{"slug":"a","start":"x","health_check":true}"#, "health_check"),
        (#"{"slug":"a","start":"x","health_check":{"path":"x"}}"#, "health_check.path"),
        (#"{"slug":"a","start":"x","health_check":{"path":"/a b"}}"#, "health_check.path"),
        (#"{"slug":"a","start":"x","health_check":{"path":"/\r\nX: y"}}"#, "health_check.path"),
        (#"{"slug":"a","start":"x","health_check":{"interval_ms":1}}"#, "health_check.interval_ms"),
        (#"{"slug":"a","start":"x","depends_on":"b"}"#, "depends_on"),
        (#"{"slug":"a","start":"x","depends_on":[1]}"#, "depends_on"),
        (#"{"slug":"a","start":"x","port":80,"environment":{"PORT":"81"}}"#, "environment.PORT"),
    ]

    @Test func whatCannotBeMeantIsRefusedByField() {
        for (body, field) in Self.bad {
            do {
                _ = try Self.read(body)
                Issue.record("taken: \(body)")
            } catch {
                let problem = error as? Problem
                #expect(problem?.status == 400 && problem?.field == field, "\(body): \(error)")
            }
        }
    }

    @Test func aDelayIsShownAsItIsKept() throws {
        #expect(try Self.read(#"{"slug":"a","start":"x","restart_delay_ms":5}"#).restartDelayMilliseconds == 100)
        #expect(try Self.read(#"{"slug":"a","start":"x","restart_delay_ms":101}"#).restartDelayMilliseconds == 101)
    }

    @Test func eachStandsBehindThoseThatItNeeds() {
        let needs = ["app": ["db", "cache"], "db": [], "cache": ["db"], "web": ["app"], "a": ["b"], "b": ["a"]]
        let sorted = DependencyGraph.inOrder(["a", "web", "app", "b", "cache", "db"], name: \.self) { needs[$0] ?? [] }
        #expect(sorted == ["db", "cache", "app", "web", "a", "b"])
    }

    @Test func whatIsTooLargeToKeepIsRefused() {
        let value = String(repeating: "x", count: 1 << 20)
        for (body, field) in [
            ("{\"slug\":\"a\",\"start\":\"x\",\"environment\":{\"A\":\"\(value)\"}}", "environment"),
            (
                "{\"slug\":\"a\",\"start\":\"x\",\"depends_on\":[\"\(String(repeating: "x", count: 64))\"]}",
                "depends_on"
            ),
        ] {
            let problem = #expect(throws: Problem.self) { try Self.read(body) }
            #expect(problem?.status == 400 && problem?.field == field)
        }
    }

    @Test func noMoreIsSavedThanCanBeReadAgain() throws {
        let directory = FileManager.default.temporaryDirectory.appending(
            path: "servers-\(UInt64.random(in: 0 ... .max))")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let store = ServerStore(stateDirectory: directory.path, maxBytes: 1000)
        func stored(_ slug: String, _ bytes: Int) -> ServerStore.Stored {
            var definition = ServerDefinition(slug: slug, start: "x", directory: "/")
            definition.environment = ["A": String(repeating: "x", count: bytes)]
            return ServerStore.Stored(
                definition: definition, isInstalled: false, createdAt: WallTime(milliseconds: 1))
        }
        try store.save([stored("kept", 1)])
        let problem = #expect(throws: Problem.self) { try store.save([stored("huge", 1000)]) }
        #expect(problem?.status == 413)
        #expect(store.load().map(\.definition.slug) == ["kept"])
    }

    @Test func circlesOfDependenciesAreFound() {
        #expect(DependencyGraph.cycle(from: "a", ["a": ["a"]]) == ["a", "a"])
        #expect(DependencyGraph.cycle(from: "a", ["a": ["b"], "b": ["c"], "c": ["a"]]) == ["a", "b", "c", "a"])
        #expect(DependencyGraph.cycle(from: "a", ["a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []]) == nil)
        // A circle that is not its own.
        #expect(DependencyGraph.cycle(from: "a", ["a": ["b"], "b": ["c"], "c": ["b"]]) == nil)
        let chain = Dictionary(uniqueKeysWithValues: (0..<5000).map { ("\($0)", ["\($0 + 1)"]) })
        #expect(DependencyGraph.cycle(from: "0", chain) == nil)
    }

    @Test func envFilesAreReadAsTheirUsersWriteThem() {
        let text = """
            # a comment
            A=1
            export B = two words # and why
              C="quoted # not a comment\\n\\"x\\""\t
            D='sin\\gle "q"'
            E=
            F=a#b
            no equals
            =nothing
            G H=1
            I="open
            A=2
            """
        #expect(
            ServerEnvFile.variables(Array(text.utf8)) == [
                "A": "2", "B": "two words", "C": "quoted # not a comment\n\"x\"", "D": #"sin\gle "q""#, "E": "",
                "F": "a#b", "I": "\"open",
            ])
        #expect(ServerEnvFile.variables(Array("A=1\r\nB=2\r\n".utf8)) == ["A": "1", "B": "2"])
        #expect(ServerEnvFile.variables(Array("A=x\0y\nB=\u{FFFD}".utf8)) == ["B": "\u{FFFD}"])
    }

    @Test func signalsAreKnownByNameAndNumber() throws {
        func read(_ body: String, absent: SignalNumber? = nil) throws -> Int32 {
            try SignalNumber(RequestBody.parse(Array(body.utf8)), absent: absent).rawValue
        }
        for body in [#"{"signal":"TERM"}"#, #"{"signal":"sigterm"}"#, #"{"signal":15}"#, #"{"signal":15.0}"#] {
            #expect(try read(body) == 15)
        }
        #expect(try read("{}", absent: .terminate) == 15)
        #expect(try read(#"{"signal":"15"}"#) == 15)
        #expect(try read(#"{"signal":"9"}"#, absent: .terminate) == 9)
        for body in [
            #"{"signal":0}"#, #"{"signal":65}"#, #"{"signal":""}"#, #"{"signal":"NOPE"}"#, #"{"signal":true}"#,
            #"{"signal":"0"}"#, #"{"signal":"99999999999999999999"}"#, #"{"signal":null}"#, "{}",
        ] {
            #expect(throws: Problem.self) { try read(body) }
        }
    }
}
