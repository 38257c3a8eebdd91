import APIService
import Auth
import ComputeCore
import ComputeDomain
import ComputeRuntime
import EventSourcing
import HTTPTypes
import TestSupport
import Testing

/// What a compute mounts, from its request to its end.
struct FilesystemMountingTests {
    private func world(_ change: (inout APISettings) -> Void = { _ in }) -> World {
        World(abilities: [.filesystems], change)
    }

    private func users(_ world: World, _ name: String) async throws -> [ComputeID: FilesystemAttachment] {
        try #require(try await world.store.inner.filesystem(named: name, in: .default)).attachments
    }

    private static let writer = #"{"filesystems":[{"name":"a","path":"/data"}]}"#
    private static let reader = #"{"filesystems":[{"name":"a","path":"/data","readOnly":true}]}"#

    @Test func aComputeGetsAPlaceOfItsOwnWithWhatItMounts() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            let id = try await api.filesystem("a")["data", "filesystemId"]?.text ?? ""
            let made = try await api.create(Self.writer)
            #expect(made.status == 200, "\(made.text)")
            let volume = try #require(FilesystemID(id))
            #expect(
                made["data", "filesystems"]
                    == .array([
                        .object([
                            "filesystemId": .string(id), "name": .string("a"), "path": .string("/data"),
                            "readOnly": .bool(false),
                        ])
                    ]))
            let found = try await api.send(.get, "/v1/sandboxes/\(made.sandboxID)")
            #expect(found["data", "filesystems"] == made["data", "filesystems"])
            let mount = VolumeMount(volume: volume, path: "/data", isReadOnly: false)
            #expect(world.runtime.orders.map(\.mounts) == [[mount]])
            #expect(world.runtime.idleCount == 3, "nobody of the pool")
            let requested = try await world.store.events(of: .compute(try #require(ComputeID(made.sandboxID)))).first
            let attached = try await world.store.events(of: .filesystem(volume)).last
            #expect(requested.map { $0.position + 1 } == attached?.position, "in one commit")
            let view = try await api.send(.get, "/v1/filesystems/\(id)")
            #expect(view.text.contains(made.sandboxID) && view.text.contains(#""path":"/data""#), "\(view.text)")
            let events = try await api.send(.get, "/v1/events").text
            #expect(events.contains("FilesystemAttached") && events.contains(#""sizeMiB":64"#))
        }
    }

    @Test func oneWritesOrManyRead() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            _ = try await api.filesystem("a")
            let first = try await api.create(Self.writer)
            for body in [Self.writer, Self.reader] {
                let refused = try await api.create(body)
                #expect(refused.status == 409 && refused["field"] == .string("filesystems[0].name"), "\(refused.text)")
            }
            #expect(try await world.livingCount() == 1, "nothing is left of those who came too late")
            _ = try await api.send(.delete, "/v1/sandboxes/\(first.sandboxID)")
            for _ in 0..<3 { #expect(try await api.create(Self.reader).status == 200) }
            #expect(try await api.create(Self.writer).status == 409)
            #expect(try await users(world, "a").count == 3)
        }
    }

    @Test func ofManyWritersAtOnceOneGetsIt() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            _ = try await api.filesystem("a")
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<8 { group.addTask { try await api.create(Self.writer).status } }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(statuses.count { $0 == 200 } == 1 && statuses.count { $0 == 409 } == 7, "\(statuses)")
            #expect(try await users(world, "a").count == 1)
        }
    }

    @Test func racingCreatesOfOneNameGetTheSameComputeWithItsFilesystem() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            _ = try await api.filesystem("a")
            let body = #"{"name":"n","filesystems":[{"name":"a","path":"/data"}]}"#
            let replies = try await withThrowingTaskGroup(of: Reply.self) { group in
                for _ in 0..<6 {
                    group.addTask { try await api.send(.post, "/v1/sandboxes/find-or-create", body) }
                }
                return try await group.reduce(into: [Reply]()) { $0.append($1) }
            }
            #expect(replies.allSatisfy { $0.status == 200 }, "\(replies.map(\.text))")
            #expect(Set(replies.map(\.sandboxID)).count == 1)
            #expect(try await users(world, "a").count == 1)
        }
    }

    @Test func readersThatEndAtTheSameMomentAllLetGo() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            _ = try await api.filesystem("a")
            for _ in 0..<12 { #expect(try await api.create(Self.reader).status == 200) }
            await world.service.endAll(.shutdown)
            #expect(try await users(world, "a").isEmpty)
            #expect(try await world.livingCount() == 0)
        }
    }

    enum End: CaseIterable { case deleted, expired, lost, startFailed }

    @Test(arguments: End.allCases) func everyEndDetaches(end: End) async throws {
        let world = world()
        try await world.withAPI { api async throws in
            let id = try await api.filesystem("a")["data", "filesystemId"]?.text ?? ""
            switch end {
            case .deleted:
                let made = try await api.create(Self.writer)
                let inUse = try await api.send(.delete, "/v1/filesystems/\(id)")
                #expect(inUse.status == 409, "\(inUse.text)")
                _ = try await api.send(.delete, "/v1/sandboxes/\(made.sandboxID)")
            case .expired:
                #expect(try await api.create(Self.writer).status == 200)
                world.clock.advance(by: .seconds(8 * 24 * 3600))
                _ = await world.server.reaper.step()
            case .lost:
                #expect(try await api.create(Self.writer).status == 200)
                for place in try await world.runtime.places() where !place.isIdle {
                    world.runtime.kill(place.member.name)
                }
                await world.server.sweep.step()
            case .startFailed:
                world.runtime.set { $0.startFailure = RuntimeError(.unavailable, "told to fail") }
                #expect(try await api.create(Self.writer).status == 503)
            }
            #expect(try await users(world, "a").isEmpty)
            #expect(try await api.send(.delete, "/v1/filesystems/\(id)").status == 200)
        }
    }

    @Test func whatCannotBeMountedIsRefusedByItsFieldAndNothingIsLeft() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            let id = try await api.filesystem("a")["data", "filesystemId"]?.text ?? ""
            _ = try await api.filesystem("b")
            let many = Array(repeating: #"{"name":"a","path":"/x"}"#, count: 17).joined(separator: ",")
            for (filesystems, field) in [
                (#"{"name":"c","path":"/data"}"#, "filesystems[0].name"),
                (#"{"filesystemId":"zzzzzzzzzzzzzzzzzzzz","path":"/data"}"#, "filesystems[0].filesystemId"),
                (#"{"filesystemId":"A/","path":"/data"}"#, "filesystems[0].filesystemId"),
                (#"{"path":"/data"}"#, "filesystems[0].name"),
                (#"{"name":"a","filesystemId":"\#(id)","path":"/data"}"#, "filesystems[0].filesystemId"),
                (#"{"name":"a"}"#, "filesystems[0].path"), (#"{"name":"a","path":"data"}"#, "filesystems[0].path"),
                (#"{"name":"a","path":"/"}"#, "filesystems[0].path"),
                (#"{"name":"a","path":"/data/"}"#, "filesystems[0].path"),
                (#"{"name":"a","path":"/data/../etc"}"#, "filesystems[0].path"),
                (#"{"name":"a","path":"/usr/local"}"#, "filesystems[0].path"),
                (#"{"name":"a","path":"/computesdk/state"}"#, "filesystems[0].path"),
                (#"{"name":"a","path":"/data","readOnly":"yes"}"#, "filesystems[0].readOnly"),
                (#"{"name":"a","path":"/data"},{"name":"b","path":"/data"}"#, "filesystems[1].path"),
                (#"{"name":"a","path":"/data/x"},{"name":"b","path":"/data"}"#, "filesystems[1].path"),
                (#"{"name":"a","path":"/x"},{"name":"a","path":"/y"}"#, "filesystems[1].name"),
                (#"{"name":"a","path":"/x"},{"filesystemId":"\#(id)","path":"/y"}"#, "filesystems[1].filesystemId"),
                (many, "filesystems"),
            ] {
                let reply = try await api.create(#"{"filesystems":[\#(filesystems)]}"#)
                #expect(reply.status == 400 && reply["field"] == .string(field), "\(filesystems): \(reply.text)")
            }
            _ = try await api.send(.put, "/v1/secrets/s", #"{"value":"x"}"#)
            let kept = try await api.create(
                #"{"filesystems":[{"name":"a","path":"/data"}],"secrets":[{"name":"s","path":"/data/s"}]}"#)
            #expect(kept.status == 400 && kept["field"] == .string("secrets[0].path"), "\(kept.text)")
            #expect(try await world.livingCount() == 0)
            #expect(world.runtime.orders.isEmpty)
        }
    }

    @Test func aRuntimeWithoutFilesystemsRefusesThemBeforeAnythingIsRecorded() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            let reply = try await api.create(Self.writer)
            #expect(reply.status == 400 && reply["field"] == .string("filesystems"), "\(reply.text)")
            #expect(reply["code"] == .string("unsupported_field"))
            #expect(try await world.livingCount() == 0)
        }
    }

    @Test func toMountTakesAScopeOfItsOwn() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            _ = try await api.filesystem("a")
            let narrow = try await world.key(
                of: "default", Authority(role: .developer, scopes: [.sandboxesWrite]))
            let refused = try await API(client: api.client, key: narrow).create(Self.writer)
            #expect(refused.status == 403 && refused["field"] == .string("filesystems"), "\(refused.text)")
            let wide = try await world.key(
                of: "default", Authority(role: .developer, scopes: [.sandboxesWrite, .filesystemsUse]))
            #expect(try await API(client: api.client, key: wide).create(Self.writer).status == 200)
        }
    }

    @Test func oneThatWasCutOffAtItsMakingIsCompletedOnlyBeforeItsFirstUse() async throws {
        let world = world()
        try await world.withAPI { api async throws in
            let id = try #require(FilesystemID(try await api.filesystem("a")["data", "filesystemId"]?.text ?? ""))
            try await world.runtime.removeVolume(id)
            let made = try await api.create(Self.writer)
            #expect(made.status == 200 && world.runtime.volumeSizes[id] == 64)
            _ = try await api.send(.delete, "/v1/sandboxes/\(made.sandboxID)")
            try await world.runtime.removeVolume(id)
            _ = try await api.create(Self.writer)
            #expect(world.runtime.volumeSizes[id] == nil, "what is lost does not come back empty")
        }
    }
}
