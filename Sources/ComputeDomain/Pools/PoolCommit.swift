package import ComputeCore
package import EventSourcing

extension StreamID {
    package static let poolCategory = "pool"
    package static func pool(_ id: PoolID) -> StreamID { StreamID(category: poolCategory, id: id.rawValue) }
}

extension UniqueKey {
    /// What the name of a pool is held by.
    package static func pool(_ name: String, in group: GroupID) -> UniqueKey {
        UniqueKey(group: group, scope: "pool", key: name)
    }
}

extension CounterName {
    /// How many pools the group has.
    package static func pools(in group: GroupID) -> CounterName { CounterName(group: group, name: "pools") }
}

extension Commit {
    /// The commit of what was decided for one pool, with what moves in the same transaction: its name, the group's
    /// counter, and its quota of members.
    ///
    /// - Parameters:
    ///   - before: the state that `events` were decided on.
    ///   - limit: how many the group may have; checked only when one is created.
    ///   - quotas: what is usual; checked when there may be more members than before.
    package static func pool(
        _ id: PoolID, in group: GroupID, expectedVersion: Int, before: Pool.State, events: [PoolEvent],
        limit: Int64? = nil, quotas: GroupQuotas = GroupQuotas(), standing: Standing? = nil,
        metadata: EventMetadata, at occurredAt: WallTime
    ) -> Commit {
        var commit = Commit(
            appends: [
                StreamAppend(
                    stream: .pool(id), group: group, expectedVersion: expectedVersion, events: events.map(\.recorded))
            ], standing: standing, metadata: metadata, occurredAt: occurredAt)
        func take(_ name: String) {
            commit.takes.append(UniqueHold(key: .pool(name, in: group), owner: id.rawValue))
        }
        func release(_ name: String) {
            commit.releases.append(UniqueRelease(key: .pool(name, in: group), owner: id.rawValue))
        }
        func add(members: Int64) {
            guard members != 0 else { return }
            commit.counterMoves.append(
                members > 0
                    ? Quota.poolMembers.move(members, in: group, quotas)
                    : CounterMove(counter: Quota.poolMembers.counter(in: group), delta: members))
        }
        var state = before
        for event in events {
            let old = state.spec
            switch event {
            case .created(let spec):
                take(spec.name)
                commit.counterMoves.append(CounterMove(counter: .pools(in: group), delta: 1, limit: limit))
                add(members: spec.maximum)
            case .changed(let spec, _):
                guard let old else { break }
                if old.name != spec.name {
                    release(old.name)
                    take(spec.name)
                }
                add(members: spec.maximum - old.maximum)
            case .deleted:
                guard let old else { break }
                release(old.name)
                commit.counterMoves.append(CounterMove(counter: .pools(in: group), delta: -1))
                add(members: -old.maximum)
            }
            state = Pool.evolve(state, event)
        }
        return commit
    }
}

extension Pool.State {
    /// What it says; nil before and after its life.
    package var spec: PoolSpec? {
        switch self {
        case .absent, .deleted: nil
        case .present(let spec, _): spec
        }
    }
}
