import APIContract
import APIService
import ComputeCore
import HTTPTypes
import Testing

/// `GET /v1/sandboxes` with filters.
struct SandboxListTests {
    private func names(_ api: API, _ query: String) async throws -> [String] {
        let reply = try await api.send(.get, "/v1/sandboxes?\(query)")
        #expect(reply.status == 200, "\(query): \(reply.text)")
        return reply.list.compactMap { $0["name"]?.text }.sorted()
    }

    @Test func sandboxesAreFoundByWhatTheyAreCalledAndCarry() async throws {
        let world = World(poolSize: 5)
        let start = world.clock.now()
        try await world.withAPI { api async throws in
            let bodies = [
                #"{"name":"a","metadata":{"team":"red","n":1,"on":true}}"#,
                #"{"name":"b","metadata":{"team":"red","n":2,"a b/é":"x y"}}"#,
                #"{"name":"a","namespace":"other","metadata":{"team":"blue"}}"#,
                #"{"name":"c"}"#,
            ]
            for body in bodies {
                #expect(try await api.create(body).status == 200)
                world.clock.advance(by: .seconds(1))
            }
            #expect(try await names(api, "metadata.team=red") == ["a", "b"])
            #expect(try await names(api, "metadata.team=red&metadata.n=2") == ["b"])
            #expect(try await names(api, "metadata.on=true") == ["a"])
            #expect(try await names(api, "metadata.a%20b%2F%C3%A9=x%20y") == ["b"])
            #expect(try await names(api, "metadata.team=") == [])
            #expect(try await names(api, "metadata.team=re%25") == [])
            #expect(try await names(api, "name=a") == ["a"], "of the default namespace")
            #expect(try await names(api, "name=a&namespace=other") == ["a"])
            #expect(try await names(api, "namespace=default") == ["a", "b", "c"])
            #expect(try await names(api, "createdAfter=\((start + .seconds(3)).rfc3339)") == ["c"])
            #expect(try await names(api, "createdBefore=\((start + .seconds(1)).milliseconds)") == ["a"])
            #expect(try await names(api, "createdAfter=\((start + .seconds(1)).rfc3339)&metadata.team=red") == ["b"])
            let page = try await api.send(.get, "/v1/sandboxes?metadata.team=red&limit=1")
            let next = try #require(page["next"]?.text)
            #expect(try await names(api, "metadata.team=red&limit=1&cursor=\(next)") == ["a"])
            let id = try await api.send(.post, "/v1/sandboxes/find", #"{"name":"b"}"#).sandboxID
            #expect(try await api.send(.delete, "/v1/sandboxes/\(id)").status == 200)
            #expect(try await names(api, "metadata.team=red") == ["a"], "the living, unless asked otherwise")
            #expect(try await names(api, "metadata.team=red&state=all") == ["a", "b"])
            #expect(try await names(api, "metadata.team=red&state=ended") == ["b"])
        }
        try await world.make(group: "tenant")
        try await world.withAPI(as: GroupID("tenant")) { api async throws in
            #expect(try await names(api, "metadata.team=red&state=all") == [])
            #expect(try await names(api, "name=a&state=all") == [])
        }
    }

    @Test(
        arguments: [
            ("state=gone", "state"), ("name=a%00", "name"), ("name=-", "name"), ("namespace=a/b", "namespace"),
            ("createdAfter=yesterday", "createdAfter"), ("createdBefore=-1", "createdBefore"), ("limit=0", "limit"),
            ("cursor=x", "cursor"), ("metadata.a=%00", "metadata.a"), ("metadata.a%FF=x", "metadata.a%FF"),
            ("metadata.a=1&metadata.%61=2", "metadata.a"),
            ("metadata.a=1&metadata.b=1&metadata.c=1&metadata.d=1&metadata.e=1", "metadata"),
            ("metadata.a=" + String(repeating: "x", count: 257), "metadata.a"),
        ])
    func aFilterThatIsNoneIsNamed(_ query: String, _ field: String) async throws {
        try await World().withAPI { api async throws in
            let reply = try await api.send(.get, "/v1/sandboxes?\(query)")
            #expect(reply.status == 400, "\(query)")
            #expect(reply["field"] == .string(field), "\(query)")
        }
    }
}
