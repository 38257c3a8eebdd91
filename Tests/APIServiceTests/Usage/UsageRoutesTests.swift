import APIService
import ComputeCore
import ComputeDomain
import ComputeRuntime
import HTTPTypes
import TestSupport
import Testing

/// What a group took, over HTTP. The clock of these tests begins on 2027-01-15 at 08:00.
struct UsageRoutesTests {
    private func world() -> World {
        let world = World(poolSize: 0, abilities: [.resources, .freeze]) {
            $0.defaultTimeout = .seconds(100_000)
        }
        world.runtime.set {
            $0.describe = { $0.defaultResources = ComputeResources(cpus: 2, memoryBytes: 512 << 20) }
        }
        return world
    }

    @Test func aLifeIsToldByDay() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            let id = try await api.create().sandboxID
            world.clock.advance(by: .seconds(15 * 3600))
            #expect(try await api.send(.post, "/v1/sandboxes/\(id)/pause").status == 200)
            world.clock.advance(by: .seconds(3600))
            #expect(try await api.send(.post, "/v1/sandboxes/\(id)/resume").status == 200)
            world.clock.advance(by: .seconds(60))
            #expect(try await api.send(.delete, "/v1/sandboxes/\(id)").status == 200)
            world.clock.advance(by: .seconds(60))
            let reply = try await api.send(.get, "/v1/usage")
            #expect(reply.status == 200)
            #expect(reply["data", "groupId"] == .string("default"))
            #expect(reply["data", "from"] == .string("2026-12-18") && reply["data", "to"] == .string("2027-01-16"))
            guard case .array(let days)? = reply["data", "days"] else { return #expect(Bool(false)) }
            #expect(days.map { $0["date"]?.text } == ["2027-01-15", "2027-01-16"])
            #expect(days.map { $0["computeSeconds"]?.real } == [57_600, 60])
            #expect(days.map { $0["cpuSeconds"]?.real } == [108_000, 120])
            #expect(days.map { $0["memoryMiBSeconds"]?.real } == [57_600 * 512, 60 * 512])
            #expect(reply["data", "total", "computeSeconds"]?.real == 57_660)
            let one = try await api.send(.get, "/v1/usage?from=2027-01-16&to=2027-01-16")
            #expect(one["data", "total", "computeSeconds"]?.real == 60)
        }
    }

    @Test func whoRunsTheSystemReadsEveryGroupsAndOthersTheirOwn() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            try await world.make(group: "tenant")
            let tenant = API(client: api.client, key: try await world.key(of: "tenant"))
            #expect(try await tenant.create().status == 200)
            world.clock.advance(by: .seconds(5))
            for reader in [tenant, api] {
                let reply = try await reader.send(.get, "/v1/usage?group=tenant")
                #expect(reply["data", "total", "computeSeconds"]?.real == 5, "\(reply.text)")
            }
            #expect(try await api.send(.get, "/v1/usage")["data", "days"] == .array([]))
            #expect(try await tenant.send(.get, "/v1/usage?group=default").status == 404)
            #expect(try await tenant.send(.get, "/v1/usage?group=nobody").status == 404)
            let admin = API(
                client: api.client, key: try await world.key(of: "default", Authority(role: .admin)))
            #expect(try await admin.send(.get, "/v1/usage?group=tenant").status == 404)
        }
    }

    @Test(arguments: [
        ("from=yesterday", "from"), ("to=2027-02-30", "to"), ("from=2027-01-02&to=2027-01-01", "from"),
        ("from=2026-01-01&to=2027-01-02", "from"), ("from=1800000000000", "from"),
        ("to=0000-01-01", "to"),
    ]) func aBadRangeIsA400ThatNamesTheField(_ query: String, _ field: String) async throws {
        try await World().withAPI { api async throws in
            let reply = try await api.send(.get, "/v1/usage?\(query)")
            #expect(reply.status == 400 && reply["field"] == .string(field), "\(reply.text)")
            #expect(try await api.send(.get, "/v1/usage?from=2026-01-01&to=2027-01-01").status == 200)
        }
    }
}

extension JSONValue {
    fileprivate var real: Double? {
        switch self {
        case .int(let whole): Double(whole)
        case .double(let real): real
        case .null, .bool, .string, .array, .object: nil
        }
    }
}
