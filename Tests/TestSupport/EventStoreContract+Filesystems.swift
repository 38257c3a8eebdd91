import ComputeCore
import ComputeDomain
import EventSourcing

extension EventStoreContract {
    static let filesystems = [
        EventStoreContract(description: "a filesystem is found by id and name in its own group and listed by name") {
            store in
            var ids: [String: FilesystemID] = [:]
            for (name, group) in [("b", GroupID.default), ("a", .default), ("B", .default), ("a", other)] {
                let id = FilesystemID.random()
                if group == .default { ids[name] = id }
                try require(try await store.commit(.create(id, name, in: group)).isCommitted, "created")
            }
            let id = try require(ids["a"], "made")
            let row = try require(try await store.filesystem(id, in: .default), "by id")
            try require(row.spec == FilesystemSpec(name: "a", sizeMiB: 64) && row.createdAt == start, "fields")
            try require(!row.wasAttached && row.attachments.isEmpty && row.version == 1, "unused")
            try require(try await store.filesystem(id, in: other) == nil, "not another group's")
            try require(try await store.filesystem(id, in: nil) == row, "of any group")
            try require(try await store.filesystem(named: "a", in: .default) == row, "by name")
            try require(try await store.filesystem(named: "b", in: other) == nil, "not of this group")
            var (names, cursor) = ([String](), Cursor?.none)
            repeat {
                let page = try await store.filesystems(in: .default, after: cursor, limit: 2)
                try require(page.filesystems.count <= 2, "limit")
                names += page.filesystems.map(\.spec.name)
                cursor = page.next
            } while cursor != nil
            try require(names == ["B", "a", "b"], "by the bytes of the name, once each: \(names)")
            let unknown = FilesystemID.random()
            try require(
                try await store.unknownFilesystems(among: [id, unknown]) == [unknown], "only what nobody has")
            do {
                _ = try await store.filesystems(in: .default, after: Cursor(rawValue: "e30"), limit: 2)
                throw ContractViolation(description: "a bad cursor was taken")
            } catch let error as EventStoreError {
                try require(error.code == .badCursor, "bad cursor")
            }
        },
        EventStoreContract(description: "what has a filesystem is known until it has not, and nothing after the end") {
            store in
            let (id, compute) = (FilesystemID.random(), ComputeID.random())
            let attachment = FilesystemAttachment(path: "/data", isReadOnly: true)
            _ = try await store.commit(.create(id, "a"))
            _ = try await store.commit(.change(id, 2, .attached(compute, attachment)))
            var row = try require(try await store.filesystem(id, in: .default), "attached")
            try require(row.attachments == [compute: attachment] && row.wasAttached && row.version == 2, "who")
            let late = try await store.commit(.change(id, 2, .detached(compute)))
            try require(!late.isCommitted, "conflict")
            _ = try await store.commit(.change(id, 3, .detached(compute)))
            row = try require(try await store.filesystem(id, in: .default), "detached")
            try require(row.attachments.isEmpty && row.wasAttached, "was used")
            _ = try await store.commit(.change(id, 4, .deleted))
            try require(try await store.filesystem(id, in: nil) == nil, "deleted")
            try require(try await store.unknownFilesystems(among: [id]) == [id], "unknown from then on")
        },
        EventStoreContract(description: "more volumes than are asked for at once are told apart") { store in
            var ids: [FilesystemID] = []
            for n in 0..<150 {
                ids.append(.random())
                guard n % 3 != 0 else { continue }
                try require(try await store.commit(.create(ids[n], "f\(n)", sizeMiB: 1)).isCommitted, "made")
            }
            let unknown = try await store.unknownFilesystems(among: ids)
            try require(unknown == ids.enumerated().filter { $0.offset % 3 == 0 }.map(\.element), "in their order")
            try require(try await store.unknownFilesystems(among: []).isEmpty, "none of none")
        },
        EventStoreContract(description: "a compute's row shows what it has mounted") { store in
            let id = ComputeID.random()
            var spec = ComputeSpec(timeout: .seconds(60))
            spec.filesystems = [("a", true), ("b", false)].map { name, isReadOnly in
                ComputeFilesystem(
                    id: .random(), name: name,
                    attachment: FilesystemAttachment(path: "/\(name) \"é\\", isReadOnly: isReadOnly))
            }
            let requested = Commit.compute(
                id, in: .default, expectedVersion: 0, before: Compute.initial, events: [.requested(spec, at: start)],
                metadata: .system, at: start)
            try require(try await store.commit(requested).isCommitted, "requested")
            var row = try require(try await store.summary(id, in: .default), "there")
            try require(row.filesystems == spec.filesystems, "while it lives: \(row.filesystems)")
            let ended = Commit.compute(
                id, in: .default, expectedVersion: 1, before: .requested(spec), events: [.ended(.startFailed)],
                metadata: .system, at: start)
            try require(try await store.commit(ended).isCommitted, "ended")
            row = try require(try await store.summary(id, in: .default), "still there")
            try require(row.filesystems == spec.filesystems, "and after its end")
        },
        EventStoreContract(description: "the name and the sizes of filesystems are counted in the same commit") {
            store in
            let limits = FilesystemLimits(count: 2, totalMiB: 200)
            let first = FilesystemID.random()
            try require(try await store.commit(.create(first, "a", limits: limits)).isCommitted, "the first")
            let same = try await store.commit(.create(.random(), "a", limits: limits))
            guard case .taken = same else { throw ContractViolation(description: "a name twice: \(same)") }
            let large = try await store.commit(.create(.random(), "b", sizeMiB: 137, limits: limits))
            try require(large == .overLimit(.filesystemMiB(in: .default), limit: 200), "too large: \(large)")
            try require(try await store.counter(.filesystems(in: .default)) == 1, "nothing of what failed")
            try require(try await store.commit(.create(.random(), "b", limits: limits)).isCommitted, "the second")
            let many = try await store.commit(.create(.random(), "c", sizeMiB: 1, limits: limits))
            try require(many == .overLimit(.filesystems(in: .default), limit: 2), "too many: \(many)")
            let state = Filesystem.replay([.created(FilesystemSpec(name: "a", sizeMiB: 64))])
            _ = try await store.commit(
                .filesystem(
                    first, in: .default, expectedVersion: 1, before: state, events: [.deleted], metadata: .system,
                    at: start))
            try require(try await store.counter(.filesystemMiB(in: .default)) == 64, "given back")
            try require(try await store.commit(.create(.random(), "a", limits: limits)).isCommitted, "the name too")
        },
    ]
}

extension Commit {
    fileprivate static func create(
        _ id: FilesystemID, _ name: String, sizeMiB: Int64 = 64, in group: GroupID = .default,
        limits: FilesystemLimits? = nil
    ) -> Commit {
        .filesystem(
            id, in: group, expectedVersion: 0, before: Filesystem.initial,
            events: [.created(FilesystemSpec(name: name, sizeMiB: sizeMiB))], limits: limits, metadata: .system,
            at: start)
    }

    /// - Parameter version: the event's own.
    fileprivate static func change(_ id: FilesystemID, _ version: Int, _ event: FilesystemEvent) -> Commit {
        Commit(
            appends: [.filesystem(id, in: .default, expectedVersion: version - 1, events: [event])],
            metadata: .system, occurredAt: start)
    }
}
