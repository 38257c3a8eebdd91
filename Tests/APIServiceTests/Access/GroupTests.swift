import APIContract
import APIService
import ComputeCore
import ComputeDomain
import EventSourcing
import HTTPTypes
import TestSupport
import Testing

struct GroupTests {
    @Test func aNewGroupComesWithTheKeyOfItsOwner() async throws {
        try await World().withAPI { api async throws in
            let made = try await api.send(.post, "/v1/groups", #"{"name":"Team A"}"#)
            #expect(made.status == 200 && made["data", "name"] == .string("Team A"))
            let id = try #require(made["data", "groupId"]?.text)
            let inside = API(client: api.client, key: try #require(made["data", "key", "key"]?.text))
            #expect(made["data", "key", "role"] == .string("owner"))
            #expect(try await inside.send(.get, "/v1/groups/\(id)")["data", "name"] == .string("Team A"))
            #expect(try await inside.send(.get, "/v1/groups").list.count == 1)
            let sandbox = try await inside.create().sandboxID
            #expect(try await api.send(.get, "/v1/sandboxes/\(sandbox)").status == 404, "not the maker's")
            #expect(try await api.send(.get, "/v1/groups/\(id)").status == 404)
            let renamed = try await inside.send(.patch, "/v1/groups/\(id)", #"{"name":"Team B"}"#)
            #expect(renamed["data", "name"] == .string("Team B"))
            #expect(
                try await inside.send(.post, "/v1/groups", #"{"name":"x"}"#).status == 403, "its owner runs no system")
        }
    }

    /// Whoever was let in a moment before makes nothing in a group that is gone: also where nothing else limits computes.
    @Test(arguments: [GroupQuotas(), GroupQuotas([.computes: 5])])
    func nothingBeginsInAGroupThatIsDeleted(quotas: GroupQuotas) async throws {
        let world = World(poolSize: 3) { $0.quotas = quotas }
        try await world.make(group: "tenant")
        try await world.withAPI(as: GroupID("tenant")) { api async throws in
            let caller = Caller(group: GroupID("tenant"), metadata: EventMetadata(actor: "key:late"))
            let first = try await world.service.create(CreateSandbox(), for: caller)
            #expect(try await api.send(.delete, "/v1/groups/tenant").status == 409, "it has one")
            try await world.service.delete(first.id, for: caller)
            #expect(try await api.send(.delete, "/v1/groups/tenant").status == 200)
            for name in [nil, SandboxName(name: "late")] {
                let problem = await #expect(throws: Problem.self) {
                    try await world.service.create(CreateSandbox(name: name), for: caller)
                }
                #expect(problem?.status == 429)
            }
            #expect(try await world.claimedPlaces == 0)
        }
    }

    @Test func membersComeAndGo() async throws {
        try await World().withAPI { api async throws in
            let base = "/v1/groups/default/members"
            let body = #"{"issuer":"https://id","subject":"mary","name":"Mary","role":"developer"}"#
            let made = try await api.send(.post, base, body)
            #expect(made.status == 200)
            let id = made["data", "memberId"]?.text ?? ""
            let twice = try await api.send(.post, base, body)
            #expect(twice.status == 409 && twice["field"] == .string("subject"))
            let other = body.replacing("https://id", with: "https://other")
            #expect(try await api.send(.post, base, other).status == 200, "another issuer's mary is another one")
            #expect(try await api.send(.get, base).list.count == 2)
            let changed = try await api.send(.patch, "\(base)/\(id)", #"{"role":"owner"}"#)
            #expect(changed["data", "role"] == .string("owner") && changed["data", "name"] == .string("Mary"))
            let last = try await api.send(.patch, "\(base)/\(id)", #"{"role":"admin"}"#)
            #expect(last.status == 409, "the last owner")
            #expect(try await api.send(.delete, "\(base)/\(id)").status == 409)
            #expect(try await api.send(.delete, "\(base)/nobody000000").status == 404)
            let second = #"{"issuer":"https://id","subject":"john","role":"owner"}"#
            #expect(try await api.send(.post, base, second).status == 200)
            #expect(try await api.send(.delete, "\(base)/\(id)").status == 200)
            #expect(try await api.send(.get, "\(base)/\(id)").status == 404)
        }
    }

    @Test func whoIsConfinedMakesNoMembersAndRaisesNone() async throws {
        try await Scene.run { scene async throws in
            let base = "/v1/groups/default/members"
            func body(_ role: String) -> String { #"{"issuer":"https://i","subject":"mary","role":"\#(role)"}"# }
            let made = try await scene.owner.send(.post, base, body("developer"))
            let id = made["data", "memberId"]?.text ?? ""
            let confined = scene.api(
                try await scene.world.key(of: "default", Authority(role: .owner, scopes: [.membersWrite])))
            for reply in [
                try await confined.send(.post, base, body("viewer").replacing("mary", with: "john")),
                try await confined.send(.patch, "\(base)/\(id)", #"{"role":"admin"}"#),
            ] {
                #expect(reply.status == 403 && reply["field"] == .string("scopes"), "\(reply.text)")
            }
            #expect(try await confined.send(.patch, "\(base)/\(id)", #"{"role":"viewer"}"#).status == 200)
            #expect(try await confined.send(.delete, "\(base)/\(id)").status == 200)
        }
    }

    @Test(arguments: [
        (#"{"subject":"s","role":"viewer"}"#, "issuer"), (#"{"issuer":"i","role":"viewer"}"#, "subject"),
        (#"{"issuer":"i","subject":"s"}"#, "role"), (#"{"issuer":"i","subject":"s","role":"root"}"#, "role"),
        (#"{"issuer":"i","subject":"a\u0000b","role":"viewer"}"#, "subject"),
        (#"{"issuer":"i","subject":"s","name":5,"role":"viewer"}"#, "name"),
    ]) func aBadMemberIsA400ThatNamesTheField(_ body: String, _ field: String) async throws {
        try await World().withAPI { api async throws in
            let reply = try await api.send(.post, "/v1/groups/default/members", body)
            #expect(reply.status == 400 && reply["field"] == .string(field), "\(reply.text)")
        }
    }

    @Test func ofManyChangesToOneGroupNoneIsLost() async throws {
        try await World().withAPI { api async throws in
            try await withThrowingTaskGroup(of: Int.self) { tasks in
                for n in 0..<6 {
                    tasks.addTask {
                        try await api.send(
                            .post, "/v1/groups/default/members", #"{"issuer":"i","subject":"s\#(n)","role":"viewer"}"#
                        ).status
                    }
                }
                for try await status in tasks { #expect(status == 200) }
            }
            #expect(try await api.send(.get, "/v1/groups/default/members").list.count == 6)
            var (count, path) = (0, "/v1/groups/default/members?limit=4")
            while true {
                let page = try await api.send(.get, path)
                count += page.list.count
                guard let next = page["next"]?.text else { break }
                path = "/v1/groups/default/members?limit=4&cursor=\(next)"
            }
            #expect(count == 6)
            #expect(try await api.send(.get, "/v1/groups/default/members?cursor=zzz").status == 400)
        }
    }

    @Test func aForeignGroupInTheHeaderDoesNotExist() async throws {
        try await World().withAPI { api async throws in
            let own = try await api.send(
                .get, "/v1/sandboxes", headers: [HTTPField.Name("X-ComputeSDK-Group")!: "default"])
            #expect(own.status == 200)
            let foreign = try await api.send(
                .get, "/v1/sandboxes", headers: [HTTPField.Name("X-ComputeSDK-Group")!: "tenant"])
            #expect(foreign.status == 404)
        }
    }
}
