package import ComputeCore
package import EventSourcing

extension StreamID {
    package static let filesystemCategory = "filesystem"
    package static func filesystem(_ id: FilesystemID) -> StreamID {
        StreamID(category: filesystemCategory, id: id.rawValue)
    }
}

extension UniqueKey {
    /// What the name of a filesystem is held by.
    package static func filesystem(_ name: String, in group: GroupID) -> UniqueKey {
        UniqueKey(group: group, scope: "filesystem", key: name)
    }
}

extension CounterName {
    /// How many filesystems the group has.
    package static func filesystems(in group: GroupID) -> CounterName {
        CounterName(group: group, name: "filesystems")
    }
    /// The sizes of all of them together, as they were asked for.
    package static func filesystemMiB(in group: GroupID) -> CounterName {
        CounterName(group: group, name: "filesystem-mib")
    }
}

/// How much a group may have.
package struct FilesystemLimits: Hashable, Sendable {
    package var count: Int64
    package var totalMiB: Int64

    package init(count: Int64, totalMiB: Int64) {
        self.count = count
        self.totalMiB = totalMiB
    }
}

extension StreamAppend {
    /// Part of a compute's commit, or a commit of its own.
    package static func filesystem(
        _ id: FilesystemID, in group: GroupID, expectedVersion: Int, events: [FilesystemEvent]
    ) -> StreamAppend {
        StreamAppend(
            stream: .filesystem(id), group: group, expectedVersion: expectedVersion, events: events.map(\.recorded))
    }
}

extension Commit {
    /// The commit of what was decided for one filesystem, with what moves in the same transaction: its name and the
    /// group's counters.
    ///
    /// - Parameters:
    ///   - before: the state that `events` were decided on.
    ///   - limits, quotas: checked only when one is created.
    package static func filesystem(
        _ id: FilesystemID, in group: GroupID, expectedVersion: Int, before: Filesystem.State,
        events: [FilesystemEvent], limits: FilesystemLimits? = nil, quotas: GroupQuotas = GroupQuotas(),
        standing: Standing? = nil,
        metadata: EventMetadata, at occurredAt: WallTime
    ) -> Commit {
        var commit = Commit(
            appends: [.filesystem(id, in: group, expectedVersion: expectedVersion, events: events)],
            standing: standing, metadata: metadata, occurredAt: occurredAt)
        var state = before
        for event in events {
            switch event {
            case .created(let spec):
                commit.takes.append(
                    UniqueHold(key: .filesystem(spec.name, in: group), owner: id.rawValue))
                commit.counterMoves += [
                    CounterMove(counter: .filesystems(in: group), delta: 1, limit: limits?.count),
                    CounterMove(counter: .filesystemMiB(in: group), delta: spec.sizeMiB, limit: limits?.totalMiB),
                    Quota.storageMiB.move(spec.sizeMiB, in: group, quotas),
                ]
            case .deleted:
                guard case .present(let spec, _) = state else { break }
                commit.releases.append(UniqueRelease(key: .filesystem(spec.name, in: group), owner: id.rawValue))
                commit.counterMoves += [
                    CounterMove(counter: .filesystems(in: group), delta: -1),
                    CounterMove(counter: .filesystemMiB(in: group), delta: -spec.sizeMiB),
                    CounterMove(counter: Quota.storageMiB.counter(in: group), delta: -spec.sizeMiB),
                ]
            case .attached, .detached: break
            }
            state = Filesystem.evolve(state, event)
        }
        return commit
    }
}
