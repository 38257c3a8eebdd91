import APIService
import ComputeCore
import ComputeDomain
import ComputeRuntime
import EventSourcing
import HTTPTypes
import TestSupport
import Testing

struct FilesystemRoutesTests {
    private func world(_ change: (inout APISettings) -> Void = { _ in }) -> World {
        World(abilities: [.filesystems], change)
    }

    @Test func aFilesystemIsMadeListedAndDeleted() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            let made = try await api.filesystem("models", sizeMiB: 512)
            let id = made["data", "filesystemId"]?.text ?? ""
            #expect(made.status == 200 && made["data", "sizeMiB"] == .int(512), "\(made.text)")
            #expect(made["data", "attachments"] == .array([]))
            #expect(world.runtime.volumeSizes.map { $0.key.rawValue } == [id])
            #expect(try await api.send(.get, "/v1/filesystems/\(id)")["data"] == made["data"])
            for name in ["a", "z"] { _ = try await api.filesystem(name) }
            let first = try await api.send(.get, "/v1/filesystems?limit=2")
            #expect(first.list.map { $0["name"]?.text } == ["a", "models"])
            let rest = try await api.send(.get, "/v1/filesystems?limit=2&cursor=\(first["next"]?.text ?? "")")
            #expect(rest.list.map { $0["name"]?.text } == ["z"] && rest["next"] == nil)
            #expect(try await api.send(.delete, "/v1/filesystems/\(id)").status == 200)
            #expect(try await api.send(.get, "/v1/filesystems/\(id)").status == 404)
            #expect(try await api.send(.delete, "/v1/filesystems/\(id)").status == 404)
            #expect(world.runtime.volumeSizes.count == 2)
            #expect(try await api.filesystem("models").status == 200, "the name is free again")
        }
    }

    @Test func whatCannotBeMadeIsRefusedByItsField() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            for (body, field) in [
                (#"{"sizeMiB":64}"#, "name"), (#"{"name":"","sizeMiB":64}"#, "name"),
                (#"{"name":"-a","sizeMiB":64}"#, "name"), (#"{"name":"a/b","sizeMiB":64}"#, "name"),
                (#"{"name":"a"}"#, "sizeMiB"), (#"{"name":"a","sizeMiB":63}"#, "sizeMiB"),
                (#"{"name":"a","sizeMiB":"64"}"#, "sizeMiB"), (#"{"name":"a","sizeMiB":64.5}"#, "sizeMiB"),
            ] {
                let reply = try await api.send(.post, "/v1/filesystems", body)
                #expect(reply.status == 400 && reply["field"] == .string(field), "\(body): \(reply.text)")
            }
            #expect(try await api.filesystem("a").status == 200)
            let again = try await api.filesystem("a")
            #expect(again.status == 409 && again["field"] == .string("name"), "\(again.text)")
            #expect(try await api.send(.get, "/v1/filesystems?cursor=x").status == 400)
        }
        try await World().withAPI { api async throws in
            let reply = try await api.filesystem("a")
            #expect(reply.status == 409 && reply["code"] == .string("unsupported"), "\(reply.text)")
        }
    }

    @Test func numberAndSizeHoldAlsoWhenCreatesRace() async throws {
        let world = world { $0.filesystemsPerGroup = FilesystemLimits(count: 3, totalMiB: 1000) }
        try await world.withAPI { api async throws in
            let made = try await withThrowingTaskGroup(of: Int.self) { group in
                for index in 0..<8 { group.addTask { try await api.filesystem("f\(index)").status } }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(made.count { $0 == 200 } == 3 && made.count { $0 == 429 } == 5, "\(made)")
            #expect(world.runtime.volumeSizes.count == 3, "none without a record")
            let first = try #require(
                try await world.store.inner.filesystems(in: .default, after: nil, limit: 1).filesystems.first)
            _ = try await api.send(.delete, "/v1/filesystems/\(first.id)")
            let large = try await api.filesystem("large", sizeMiB: 873)
            #expect(large.status == 429 && large["field"] == .string("sizeMiB"), "\(large.text)")
            #expect(try await api.filesystem("fits", sizeMiB: 872).status == 200)
        }
    }

    @Test func aFilesystemWithoutAVolumeIsNotKept() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            world.runtime.set { $0.volumeFailure = RuntimeError(.unavailable, "told to fail") }
            #expect(try await api.filesystem("a").status == 503)
            #expect(try await api.send(.get, "/v1/filesystems").list.isEmpty)
            world.runtime.set { $0.volumeFailure = nil }
            #expect(try await api.filesystem("a").status == 200, "its name was given back")
        }
    }

    @Test func theSweepRemovesWhatADeletionLeftAndNothingElse() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            for name in ["kept", "gone"] { _ = try await api.filesystem(name) }
            let gone = try #require(try await world.store.inner.filesystem(named: "gone", in: .default)).id
            world.runtime.set { $0.volumeFailure = RuntimeError(.unavailable, "told to fail") }
            #expect(try await api.send(.delete, "/v1/filesystems/\(gone)").status == 200, "its record is what counts")
            world.runtime.set { $0.volumeFailure = nil }
            // Of another database, or of this one before it was put back.
            let stranger = FilesystemID.random()
            try await world.runtime.makeVolume(stranger, sizeMiB: 64)
            #expect(world.runtime.volumeSizes[gone] != nil)
            await world.server.sweep.step()
            #expect(world.runtime.volumeSizes[gone] == nil)
            #expect(world.runtime.volumeSizes[stranger] != nil && world.runtime.volumeSizes.count == 2)
        }
    }

    @Test func anotherGroupsFilesystemDoesNotExist() async throws {
        let world = world()
        try await world.withAPI(as: GroupID("one")) { api async throws in _ = try await api.filesystem("a") }
        let id = try #require(try await world.store.inner.filesystem(named: "a", in: GroupID("one"))).id
        try await world.withAPI(as: GroupID("two")) { api async throws in
            #expect(try await api.send(.get, "/v1/filesystems/\(id)").status == 404)
            #expect(try await api.send(.delete, "/v1/filesystems/\(id)").status == 404)
            for reference in [#""name":"a""#, #""filesystemId":"\#(id)""#] {
                let reply = try await api.create(#"{"filesystems":[{\#(reference),"path":"/data"}]}"#)
                #expect(reply.status == 400, "\(reply.text)")
            }
            #expect(try await api.filesystem("a").status == 200, "a name is the group's own")
        }
    }
}

extension API {
    func filesystem(_ name: String, sizeMiB: Int = 64) async throws -> Reply {
        try await send(.post, "/v1/filesystems", #"{"name":"\#(name)","sizeMiB":\#(sizeMiB)}"#)
    }
}
