import APIContract
import ComputeCore
import Testing

private let id = TemplateID("aaaaaaaaaaaaaaaaaaaa")!

struct TemplatesTests {
    private func document(_ json: String) throws -> JSONValue { try JSONDocument.parse(Array(json.utf8)) }

    private func write(_ json: String, of template: TemplateID? = nil) throws -> WriteTemplate {
        try WriteTemplate(try document(json), of: template)
    }

    @Test func aTemplateIsReadWithWhatItSaysOfACreate() throws {
        let order = try write(
            #"""
            {"name":"py","description":"d","image":"python:3.12","timeout":60000,"directory":"/w","envs":{"A":"1"},
            "metadata":{"team":null},"resources":{"cpus":2,"memoryMiB":null},"secrets":[{"name":"s","env":"S"}],
            "filesystems":[{"name":"f","path":"/data"}],"overlays":[{"a":1}],"servers":[{"slug":"web"}],"network":{"internet":false},"ports":{"80":{"visibility":"private"}},
            "lifecycle":{"onExpiry":"stop","deleteAfterStopped":null},"whatever":1}
            """#)
        #expect(order.name == "py" && order.description == "d" && order.revision == nil)
        #expect(order.defaults.keys.sorted() == CreateSandbox.Defaults.fields, "each of them, and nothing else")
        #expect(order.defaults["resources"] == .object(["cpus": .int(2)]))
        #expect(order.defaults["lifecycle"] == .object(["onExpiry": .string("stop")]))
        #expect(order.defaults["metadata"] == .object(["team": .null]), "its entries are the caller's own")
    }

    @Test func whatAsksForNothingIsNoDefault() throws {
        let order = try write(
            #"{"name":"py","image":null,"envs":{},"metadata":{},"resources":{"cpus":null},"servers":[],"secrets":[]}"#)
        #expect(order.defaults.isEmpty && order.description.isEmpty)
    }

    @Test(arguments: [
        ("name", #"{}"#), ("name", #"{"name":"-a"}"#), ("name", #"{"name":5}"#),
        ("description", #"{"name":"a","description":5}"#), ("description", #"{"name":"a","description":"\u0000"}"#),
        ("description", #"{"name":"a","description":"\#(String(repeating: "x", count: 1025))"}"#),
        ("namespace", #"{"name":"a","namespace":"b"}"#),
        ("lifecycle.onExpiry", #"{"name":"a","lifecycle":{"onExpiry":"x"}}"#),
        ("templateId", #"{"name":"a","templateId":"other"}"#),
        ("templateRevision", #"{"name":"a","templateRevision":1}"#),
        ("snapshotId", #"{"name":"a","snapshotId":"x"}"#), ("timeout", #"{"name":"a","timeout":1}"#),
        ("envs", #"{"name":"a","envs":{"1":"x"}}"#), ("image", #"{"name":"a","image":"oci:/etc"}"#),
        ("resources.cpus", #"{"name":"a","resources":{"cpus":0}}"#),
        ("filesystems[0].path", #"{"name":"a","filesystems":[{"name":"f","path":"/etc"}]}"#),
        ("directory", #"{"name":"a","directory":".."}"#), ("servers[0]", #"{"name":"a","servers":[1]}"#),
    ]) func whatNoCreateCouldHaveIsRefusedByName(_ field: String, _ body: String) {
        let problem = #expect(throws: Problem.self) { try write(body) }
        #expect(problem?.field == field && problem?.status == 400)
    }

    @Test func allThatItSaysIsBounded() throws {
        let half = String(repeating: "x", count: 33_000)
        let small = #"{"name":"a","envs":{"A":"\#(half)"}}"#
        #expect(try write(small).defaults.count == 1)
        let problem = #expect(throws: Problem.self) {
            try write(#"{"name":"a","envs":{"A":"\#(half)"},"servers":[{"start":"\#(half)"}]}"#)
        }
        #expect(problem?.status == 400 && problem?.message.contains("65536 bytes") == true)
    }

    @Test func whatWasReadCanBeWrittenAgain() throws {
        let order = try write(#"{"name":"a","templateId":"\#(id)","revision":7,"createdAt":"2026"}"#, of: id)
        #expect(order.revision == 7 && order.defaults.isEmpty)
        let problem = #expect(throws: Problem.self) { try write(#"{"name":"a","templateId":"x"}"#, of: id) }
        #expect(problem?.field == "templateId", "another one's")
        #expect(try write(#"{"name":"a","revision":7}"#).revision == nil, "a new one has none yet")
        #expect(throws: Problem.self) { try write(#"{"name":"a","revision":0}"#, of: id) }
    }
}
