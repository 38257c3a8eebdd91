import APIContract
import ComputeCore
import Testing

struct CreateSandboxTests {
    private func create(_ text: String) throws(Problem) -> CreateSandbox {
        try CreateSandbox(try JSONDocument.parse(Array(text.utf8)))
    }

    @Test func nothingAsksForTheDefaults() throws {
        #expect(try create("{}") == CreateSandbox())
        #expect(try create(#"{"timeout":null,"name":null,"image":null,"namespace":"x"}"#) == CreateSandbox())
    }

    @Test func everythingIsRead() throws {
        let order = try create(
            #"{"timeout":1000,"metadata":{"a":[1]},"envs":{"A_1":"v"},"name":"n","namespace":"s","directory":"/w","#
                + #""image":"h:5000/a/b:1","resources":{"cpus":0.5,"memoryMiB":256,"diskMiB":null}}"#)
        #expect(
            order
                == CreateSandbox(
                    timeout: .seconds(1), metadata: ["a": .array([.int(1)])], envs: ["A_1": "v"],
                    name: SandboxName(namespace: "s", name: "n"), directory: "/w", image: "h:5000/a/b:1",
                    resources: ComputeResources(cpus: 0.5, memoryBytes: 256 << 20)))
        #expect(try create(#"{"resources":{}}"#) == CreateSandbox())
    }

    @Test func unknownFieldsRideAlong() throws {
        #expect(try create(#"{"waitForCompletion":true}"#) == CreateSandbox())
    }

    @Test(arguments: [
        ("timeout", #"{"timeout":999}"#), ("timeout", #"{"timeout":604800001}"#), ("timeout", #"{"timeout":"1"}"#),
        ("timeout", #"{"timeout":1e300}"#), ("timeout", #"{"timeout":1500.5}"#), ("metadata", #"{"metadata":[]}"#),
        ("metadata", #"{"metadata":{"a":"\u0000"}}"#), ("envs", #"{"envs":{"1A":"x"}}"#),
        ("envs", #"{"envs":{"":"x"}}"#),
        ("envs", #"{"envs":{"A=B":"x"}}"#), ("envs.A", #"{"envs":{"A":1}}"#), ("envs.A", #"{"envs":{"A":"\u0000"}}"#),
        ("name", #"{"name":""}"#), ("name", #"{"name":"-a"}"#), ("name", #"{"name":"a/b"}"#),
        ("name", #"{"name":"é"}"#),
        ("name", #"{"name":5}"#), ("namespace", #"{"name":"a","namespace":"'; drop"}"#),
        ("directory", #"{"directory":""}"#), ("directory", #"{"directory":"../x"}"#),
        ("image", #"{"image":""}"#), ("image", #"{"image":"oci:/etc"}"#), ("image", #"{"image":"/etc"}"#),
        ("image", #"{"image":"oci:etc"}"#), ("image", #"{"image":"docker://x"}"#), ("image", #"{"image":"a b"}"#),
        ("image", #"{"image":"dir:/x"}"#), ("image", #"{"image":"-v"}"#), ("image", #"{"image":7}"#),
        ("resources", #"{"resources":2}"#), ("resources.cpu", #"{"resources":{"cpu":2}}"#),
        ("resources.cpus", #"{"resources":{"cpus":0}}"#), ("resources.cpus", #"{"resources":{"cpus":"2"}}"#),
        ("resources.memoryMiB", #"{"resources":{"memoryMiB":63}}"#),
        ("resources.memoryMiB", #"{"resources":{"memoryMiB":100.5}}"#),
        ("resources.diskMiB", #"{"resources":{"diskMiB":-1}}"#),
        ("overlays", #"{"overlays":1}"#), ("overlays[1]", #"{"overlays":[{},2]}"#),
        ("servers", #"{"servers":{"a":1}}"#),
        ("servers", "{\"servers\":[\(String(repeating: "{},", count: 32)){}]}"),
        ("servers", #"{"servers":[{"start":"\#(String(repeating: "x", count: 65_536))"}]}"#),
        ("directory", #"{"directory":"/a/../b"}"#), ("directory", #"{"directory":"a\u0000"}"#),
    ]) func aBadValueIsRefusedByName(_ field: String, _ body: String) {
        let problem = #expect(throws: Problem.self) { try create(body) }
        #expect(problem?.field == field)
        #expect(problem?.status == 400)
    }

    @Test(arguments: [
        ("template", #""x""#), ("snapshotId", #""x""#),
        ("runtime", #""node""#), ("volumes", #"["x"]"#),
    ]) func whatCannotBeHonouredIsRefusedByName(_ field: String, _ value: String) throws {
        let problem = #expect(throws: Problem.self) { try create("{\"\(field)\":\(value)}") }
        #expect(problem?.code == .unsupportedField)
        #expect(problem?.field == field)
        #expect(try create("{\"\(field)\":[]}") == CreateSandbox())
    }

    @Test func aNetworkIsReadAndWhatNarrowsNothingIsNone() throws {
        let made = try create(#"{"network":{"internet":false,"allowOut":["203.0.113.7/32"]}}"#)
        #expect(made.network == NetworkPolicy(internet: false, allowOut: [try IPBlock("203.0.113.7")]))
        for value in ["null", "{}", #"{"internet":true}"#, #"{"denyOut":[]}"#] {
            #expect(try create("{\"network\":\(value)}") == CreateSandbox())
        }
        for (value, field) in [
            ("false", "network"), ("[]", "network"), (#"["x"]"#, "network"), (#"{"internet":1}"#, "network.internet"),
        ] {
            #expect(throws: Problem.self) { try create("{\"network\":\(value)}") }
            #expect((#expect(throws: Problem.self) { try create("{\"network\":\(value)}") })?.field == field)
        }
    }

    @Test func aNetworkOfAChangeIsAllThatHolds() throws {
        func change(_ text: String) throws -> NetworkPolicy? {
            try ChangeSandbox(JSONDocument.parse(Array(text.utf8))).network
        }
        #expect(try change(#"{"network":{}}"#) == .open)
        #expect(try change(#"{"network":{"internet":false}}"#) == NetworkPolicy(internet: false))
        #expect(try change(#"{"network":null}"#) == nil && change("{}") == nil)
        #expect(throws: Problem.self) { try change(#"{"network":[]}"#) }
    }

    @Test func overlaysAndServersBecomeTheSetup() throws {
        #expect(try create(#"{"overlays":[],"servers":null}"#).setup == nil)
        let setup = try create(#"{"servers":[{"slug":"a"}]}"#).setup
        #expect(setup == .object(["overlays": .array([]), "servers": .array([.object(["slug": .string("a")])])]))
    }

    @Test func limitsOfSizeHold() throws {
        func sized(_ field: String, _ count: Int) -> String {
            "{\"\(field)\":{\"A\":\"\(String(repeating: "x", count: count))\"}}"
        }
        _ = try create(sized("envs", 65_533))
        #expect(throws: Problem.self) { try create(sized("envs", 65_534)) }
        _ = try create(sized("metadata", 16_300))
        #expect(throws: Problem.self) { try create(sized("metadata", 16_385)) }
        _ = try create("{\"name\":\"\(String(repeating: "a", count: 63))\"}")
        #expect(throws: Problem.self) { try create("{\"name\":\"\(String(repeating: "a", count: 64))\"}") }
    }

    @Test func anExtensionHasADefault() throws {
        #expect(try ExtendSandbox(.object([:])).duration == .seconds(900))
        #expect(try ExtendSandbox(.object(["duration": .double(2000)])).duration == .seconds(2))
        #expect(throws: Problem.self) { try ExtendSandbox(.object(["duration": .int(-1)])) }
        #expect(throws: Problem.self) { try ExtendSandbox(.object(["timeout": .int(2000)])) }
    }
}
