import APIContract
import APIService
import ComputeCore
import ComputeRuntime
import HTTPTypes
import TestSupport
import Testing

/// What computes run on, and what can be asked of it.
struct RuntimeTests {
    @Test func theRuntimeIsDescribedToWhoHasAKey() async throws {
        let world = World(poolSize: 2, abilities: [.isolated, .freeze, .images, .resources]) {
            $0.maximumResources = ComputeResources(cpus: 2.5, diskBytes: 10 << 30)
        }
        world.runtime.set {
            $0.describe = { description in
                description.gvisor = .init(version: "release-1", platform: "systrap", network: "sandbox")
                description.cgroup = "v2"
                description.defaultImage = "base"
                description.defaultResources = ComputeResources(memoryBytes: 512 << 20)
            }
        }
        _ = world.runtime.takeIdleMember()
        try await world.withAPI { api async throws in
            #expect(try await api.send(.get, "/v1/runtime", authenticated: false).status == 401)
            let reply = try await api.send(.get, "/v1/runtime")
            #expect(reply.status == 200)
            #expect(
                reply["data"]
                    == .object([
                        "isolation": .string("memory"),
                        "abilities": .array(["isolated", "freeze", "resources", "images"].map(JSONValue.string)),
                        "runsc": .object([
                            "version": .string("release-1"), "platform": .string("systrap"),
                            "network": .string("sandbox"),
                        ]),
                        "cgroup": .string("v2"),
                        "defaults": .object([
                            "image": .string("base"), "resources": .object(["memoryMiB": .int(512)]),
                        ]),
                        "ceilings": .object(["cpus": .double(2.5), "diskMiB": .int(10 << 10)]),
                        "pool": .object(["target": .int(2), "idle": .int(1)]),
                    ]), "\(reply.text)")
        }
    }

    @Test func whatARuntimeDoesNotHaveIsNotThere() async throws {
        let world = World(poolSize: 0)
        try await world.withAPI { api async throws in
            let reply = try await api.send(.get, "/v1/runtime")
            #expect(reply["data", "abilities"] == .array([]))
            #expect(reply["data", "runsc"] == nil && reply["data", "cgroup"] == nil)
            #expect(reply["data", "defaults"] == .object([:]) && reply["data", "ceilings"] == .object([:]))
        }
    }

    @Test(arguments: ["/v1/sandboxes", "/v1/sandboxes/find-or-create"])
    func whatTheRuntimeCannotGiveIsRefusedByNameAndNothingIsRecorded(_ path: String) async throws {
        let world = World()
        try await world.withAPI { api async throws in
            for (field, body) in [
                ("image", #"{"name":"n","image":"python:3"}"#), ("resources", #"{"name":"n","resources":{"cpus":1}}"#),
            ] {
                let reply = try await api.send(.post, path, body)
                #expect(reply.status == 400)
                #expect(reply["code"] == .string("unsupported_field"), "\(reply.text)")
                #expect(reply["field"] == .string(field), "\(reply.text)")
            }
            // A size without a word is none that is asked for.
            #expect(try await api.send(.post, path, #"{"name":"n","resources":{}}"#).status == 200)
        }
        #expect(try await world.livingCount() == 1)
    }

    @Test func aSizeAboveTheCeilingIsRefusedByNameAndTheCeilingItselfIsNot() async throws {
        let world = World(poolSize: 0, abilities: [.resources]) {
            $0.maximumResources = ComputeResources(cpus: 2, memoryBytes: 1024 << 20, diskBytes: 2048 << 20)
        }
        try await world.withAPI { api async throws in
            for (field, value, said) in [
                ("cpus", "2.5", "2.0"), ("memoryMiB", "1025", "1024"), ("diskMiB", "2049", "2048"),
            ] {
                let reply = try await api.create(#"{"resources":{"\#(field)":\#(value)}}"#)
                #expect(reply.status == 400)
                #expect(reply["field"] == .string("resources.\(field)"), "\(reply.text)")
                #expect(reply["message"]?.text?.contains("at most \(said)") == true, "\(reply.text)")
            }
            #expect(world.runtime.coldStarts == 0)
            let reply = try await api.create(#"{"resources":{"cpus":2,"memoryMiB":1024,"diskMiB":2048}}"#)
            #expect(reply.status == 200, "\(reply.text)")
        }
        #expect(
            world.runtime.orders.map(\.resources)
                == [ComputeResources(cpus: 2, memoryBytes: 1024 << 20, diskBytes: 2048 << 20)])
    }
}
