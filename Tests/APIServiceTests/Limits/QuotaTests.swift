import APIService
import ComputeCore
import ComputeDomain
import ComputeRuntime
import EventSourcing
import HTTPTypes
import TestSupport
import Testing

/// What a group may have, over HTTP.
struct QuotaTests {
    /// A runtime with sizes: each compute has one processor, 512 MiB and a disk of 1 GiB when nobody asks for more.
    private func world(_ quotas: GroupQuotas = GroupQuotas()) -> World {
        let world = World(poolSize: 0, abilities: [.resources, .filesystems]) { $0.quotas = quotas }
        world.runtime.set {
            $0.describe = {
                $0.defaultResources = ComputeResources(cpus: 1, memoryBytes: 512 << 20, diskBytes: 1 << 30)
            }
        }
        return world
    }

    private func expectRefused(_ reply: Reply, by quota: Quota) {
        #expect(reply.status == 429, "\(reply.text)")
        #expect(reply["code"] == .string("quota_exceeded"))
        #expect(reply["message"]?.text?.contains(quota.rawValue) == true, "\(reply.text)")
        #expect(reply.headers[HTTPField.Name("Retry-After")!].flatMap { Int($0) }.map { $0 >= 1 } == true)
    }

    @Test(arguments: [
        (Quota.computes, #"{"computes":2}"#), (.cpus, #"{"cpus":2.5}"#), (.memoryMiB, #"{"memoryMiB":1535}"#),
        (.storageMiB, #"{"storageMiB":3071}"#), (.createsPerMinute, #"{"createsPerMinute":2}"#),
    ]) func theThirdOfWhatTwoFillIsRefusedByName(_ quota: Quota, _ body: String) async throws {
        let world = world()
        try await world.withAPI { api async throws in
            #expect(try await api.send(.put, "/v1/groups/default/quotas", body).status == 200)
            for _ in 0..<2 { #expect(try await api.create().status == 200) }
            expectRefused(try await api.create(), by: quota)
            expectRefused(try await api.create(#"{"name":"named"}"#), by: quota)
            #expect(try await world.livingCount() == 2)
            #expect(try await world.claimedPlaces == 2)
            // What it takes away when it ends is there again; what happened, has happened.
            let id = try #require(try await api.send(.get, "/v1/sandboxes").list.first?["sandboxId"]?.text)
            #expect(try await api.send(.delete, "/v1/sandboxes/\(id)").status == 200)
            if quota == .createsPerMinute { world.clock.advance(by: .seconds(30)) }
            #expect(try await api.create().status == 200)
        }
    }

    /// Pools have races of their own.
    @Test(arguments: Quota.allCases.filter { $0 != .poolMembers }) func racingCreatesGetPastNone(quota: Quota)
        async throws
    {
        let limits: [Quota: Int64] = [
            .computes: 5, .cpus: 5000, .memoryMiB: 5 * 512, .storageMiB: 5 * 1024, .createsPerMinute: 5,
        ]
        let world = world(GroupQuotas([quota: try #require(limits[quota])]))
        try await world.withAPI { api async throws in
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for n in 0..<20 {
                    group.addTask { try await api.create(n % 2 == 0 ? "{}" : #"{"name":"n\#(n)"}"#).status }
                }
                return try await group.reduce(into: [:] as [Int: Int]) { $0[$1, default: 0] += 1 }
            }
            #expect(statuses == [200: 5, 429: 15])
        }
        #expect(try await world.livingCount() == 5)
        #expect(try await world.claimedPlaces == 5)
    }

    @Test func whatACreateAsksForIsWhatItTakes() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            #expect(try await api.create(#"{"resources":{"cpus":0.5,"memoryMiB":2048}}"#).status == 200)
            let file = #"{"name":"data","sizeMiB":100}"#
            #expect(try await api.send(.post, "/v1/filesystems", file).status == 200)
            let report = try await api.send(.get, "/v1/groups/default/quotas")
            #expect(report["data", "used", "computes"] == .int(1))
            #expect(report["data", "used", "cpus"]?.number == 0.5)
            #expect(report["data", "used", "memoryMiB"] == .int(2048))
            #expect(report["data", "used", "storageMiB"] == .int(1124))
            #expect(report["data", "groupId"] == .string("default"))
            let limited = try await api.send(.put, "/v1/groups/default/quotas", #"{"storageMiB":1200}"#)
            #expect(limited.status == 200)
            let more = try await api.send(.post, "/v1/filesystems", #"{"name":"more","sizeMiB":100}"#)
            expectRefused(more, by: .storageMiB)
        }
    }

    /// A runtime that measures nothing takes nothing but their number.
    @Test func whatHasNoMeasureTakesNone() async throws {
        let world = World { $0.quotas = GroupQuotas([.computes: 10, .cpus: 0, .memoryMiB: 0, .storageMiB: 0]) }
        try await world.withAPI { api async throws in #expect(try await api.create().status == 200) }
    }

    @Test func aStartThatFailsGivesBackWhatItTook() async throws {
        let world = world(GroupQuotas([.cpus: 1000]))
        world.runtime.set { $0.startFailure = RuntimeError(.unavailable, "down") }
        try await world.withAPI { api async throws in
            for _ in 0..<3 { #expect(try await api.create().status == 503) }
            world.runtime.set { $0.startFailure = nil }
            #expect(try await api.create().status == 200)
        }
    }

    // MARK: - Who says what a group may have

    @Test func theOperatorLimitsATenantWhichReadsItAndMayNot() async throws {
        let world = world(GroupQuotas([.computes: 100, .memoryMiB: 100_000]))
        try await world.withAPI { api async throws in
            try await world.make(group: "tenant")
            let tenant = API(client: api.client, key: try await world.key(of: "tenant"))
            let path = "/v1/groups/tenant/quotas"
            let set = try await api.send(.put, path, #"{"computes":1,"cpus":1.5}"#)
            #expect(set.status == 200, "\(set.text)")
            #expect(try await tenant.send(.put, path, #"{"computes":5}"#).status == 403)
            let report = try await tenant.send(.get, path)
            #expect(report["data", "quotas", "computes"] == .int(1))
            #expect(report["data", "quotas", "memoryMiB"] == .int(100_000), "as is usual")
            #expect(report["data", "own", "memoryMiB"] == nil && report["data", "own", "cpus"]?.number == 1.5)
            #expect(report["data"] == set["data"])
            #expect(try await tenant.create().status == 200)
            expectRefused(try await tenant.create(), by: .computes)
            #expect(try await api.create().status == 200, "nobody else's")
            #expect(try await api.send(.get, path).status == 404, "another group's is not there to be read")
            // Without a word it is as is usual again.
            #expect(try await api.send(.put, path, "{}")["data", "own"] == .object([:]))
            #expect(try await tenant.create().status == 200)
            let events = try await world.store.events(of: .group(GroupID("tenant"))).map(\.type)
            #expect(events == ["GroupCreated", "GroupQuotasChanged", "GroupQuotasChanged"])
        }
    }

    @Test func aGroupWithQuotasOfItsOwnIsDeletedAsAnyOther() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            let made = try await api.send(.post, "/v1/groups", #"{"name":"g"}"#)
            let id = made["data", "groupId"]?.text ?? ""
            let owner = API(client: api.client, key: made["data", "key", "key"]?.text ?? "")
            #expect(try await api.send(.put, "/v1/groups/\(id)/quotas", #"{"computes":3}"#).status == 200)
            #expect(try await owner.send(.delete, "/v1/groups/\(id)").status == 200)
            #expect(try await api.send(.put, "/v1/groups/\(id)/quotas", #"{"computes":3}"#).status == 404)
            #expect(try await api.send(.put, "/v1/groups/nobody/quotas", #"{"computes":3}"#).status == 404)
        }
    }

    @Test(arguments: [
        (#"{"computes":-1}"#, "computes"), (#"{"computes":1.5}"#, "computes"), (#"{"cpus":"2"}"#, "cpus"),
        (#"{"memory":512}"#, "memory"), (#"{"storageMiB":1000000001}"#, "storageMiB"),
    ]) func aBadQuotaIsA400ThatNamesIt(_ body: String, _ field: String) async throws {
        try await World().withAPI { api async throws in
            let reply = try await api.send(.put, "/v1/groups/default/quotas", body)
            #expect(reply.status == 400 && reply["field"] == .string(field), "\(reply.text)")
        }
    }
}

extension JSONValue {
    fileprivate var number: Double? {
        switch self {
        case .int(let whole): Double(whole)
        case .double(let real): real
        case .null, .bool, .string, .array, .object: nil
        }
    }
}
