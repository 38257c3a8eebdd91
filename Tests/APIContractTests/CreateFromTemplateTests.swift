import APIContract
import ComputeCore
import Testing

private let used = UsedTemplate(id: TemplateID("aaaaaaaaaaaaaaaaaaaa")!, revision: 3)

struct CreateFromTemplateTests {
    private func document(_ json: String) throws -> JSONValue { try JSONDocument.parse(Array(json.utf8)) }

    /// What a create becomes with what a template says.
    private func made(_ create: String, from template: String) throws -> CreateSandbox {
        let defaults = try WriteTemplate(try document(template)).defaults
        return try CreateSandbox(try document(create)).made(from: used, saying: defaults)
    }

    /// A list is no rule, and must not lift the one that there is. Of ports clients of other services send one.
    @Test(arguments: ["network", "ports"]) func aListIsNoRuleAndLiftsNone(_ field: String) throws {
        let template = #"{"name":"t","network":{"internet":false},"ports":{"3000":{"visibility":"private"}}}"#
        let list = field == "ports" ? #"["x"]"# : "[]"
        for body in ["{\"\(field)\":\(list)}", "{\"\(field)\":\(list),\"templateId\":\"t\"}"] {
            let problem = #expect(throws: Problem.self) { try made(body, from: template) }
            #expect(problem?.status == 400 && problem?.field == field)
        }
        let nothing = ["{\"templateId\":\"t\"}", "{\"templateId\":\"t\",\"\(field)\":null}"]
        let ports = [#"{"templateId":"t","ports":[]}"#, #"{"templateId":"t","ports":[3000,8080]}"#]
        for body in nothing + ports {
            let kept = try made(body, from: template)
            #expect(kept.network == NetworkPolicy(internet: false) && kept.ports != nil)
        }
    }

    @Test func whatTheCreateDoesNotSayTheTemplateSays() throws {
        let template = #"""
            {"name":"t","image":"i:1","timeout":60000,"directory":"/t","envs":{"A":"t","B":"t"},
            "metadata":{"a":1,"b":{"c":1}},"resources":{"cpus":2,"memoryMiB":512},"servers":[{"slug":"t"}],
            "secrets":[{"name":"s","env":"S"}],"filesystems":[{"name":"f","path":"/f"}],"overlays":[{"t":1}]}
            """#
        let all = try made(#"{"name":"mine","templateId":"t"}"#, from: template)
        #expect(all.image == "i:1" && all.timeout == .seconds(60) && all.directory == "/t")
        #expect(all.envs == ["A": "t", "B": "t"] && all.metadata?.count == 2 && all.servers.count == 1)
        #expect(all.resources == ComputeResources(cpus: 2, memoryBytes: 512 << 20))
        #expect(all.secrets.count == 1 && all.filesystems.count == 1 && all.overlays.count == 1)
        #expect(all.name?.name == "mine" && all.usedTemplate == used && all.template == nil)

        let own = try made(
            #"""
            {"templateId":"t","image":"i:2","timeout":1000,"directory":null,"envs":{"B":"own","C":"own"},
            "metadata":{"b":null,"d":2},"resources":{"memoryMiB":1024,"cpus":null},"servers":[{"slug":"own"}],
            "secrets":[],"filesystems":[]}
            """#, from: template)
        #expect(own.image == "i:2" && own.timeout == .seconds(1))
        #expect(own.directory == "/t", "null is absent")
        #expect(own.envs == ["A": "t", "B": "own", "C": "own"])
        #expect(own.metadata == ["a": .int(1), "b": .null, "d": .int(2)], "entry by entry, each of them whole")
        #expect(own.resources == ComputeResources(cpus: 2, memoryBytes: 1024 << 20), "part by part")
        #expect(own.servers == [.object(["slug": .string("own")])], "a list is one thing")
        #expect(own.secrets.isEmpty && own.filesystems.isEmpty, "and an empty one is a list")
        #expect(own.overlays.count == 1 && own.name == nil)
    }

    @Test(arguments: [
        ("envs", #"{"envs":{"A":"\#(String(repeating: "x", count: 33_000))"}}"#),
        ("metadata", #"{"metadata":{"a":"\#(String(repeating: "x", count: 9000))"}}"#),
        ("filesystems[0].path", #"{"filesystems":[{"name":"f","path":"/proc"}]}"#),
        ("secrets[0].path", #"{"filesystems":[{"name":"f","path":"/s"}]}"#),
    ]) func whatComesOfBothHoldsToTheLimitsOfACreate(_ field: String, _ body: String) throws {
        let template = #"""
            {"name":"t","envs":{"B":"\#(String(repeating: "y", count: 33_000))"},
            "metadata":{"b":"\#(String(repeating: "y", count: 9000))"},"secrets":[{"name":"s","path":"/s/x"}]}
            """#
        guard case .object(var create) = try document(body) else { return }
        create["templateId"] = .string("t")
        let problem = #expect(throws: Problem.self) {
            try CreateSandbox(.object(create)).made(
                from: used, saying: try WriteTemplate(try document(template)).defaults)
        }
        #expect(problem?.field == field && problem?.status == 400)
    }

    @Test func aRevisionAloneNamesNoTemplate() throws {
        let problem = #expect(throws: Problem.self) {
            try CreateSandbox(try document(#"{"templateRevision":1}"#))
        }
        #expect(problem?.field == "templateRevision")
        for body in [#"{"templateId":"t","templateRevision":0}"#, #"{"templateId":"t","templateRevision":"1"}"#] {
            #expect(throws: Problem.self) { try CreateSandbox(try document(body)) }
        }
        #expect(throws: Problem.self) { try CreateSandbox(try document(#"{"templateId":5}"#)) }
        #expect(try CreateSandbox(try document(#"{"templateId":null,"templateRevision":null}"#)) == CreateSandbox())
    }

    @Test func withoutATemplateACreateIsWhatItSays() throws {
        let create = try CreateSandbox(try document(#"{"image":"i"}"#))
        #expect(try create.made(from: used, saying: ["timeout": .int(1000)]) == create)
    }
}
