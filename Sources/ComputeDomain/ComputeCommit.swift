package import ComputeCore
package import EventSourcing

extension StreamID {
    package static let computeCategory = "compute"
    package static func compute(_ id: ComputeID) -> StreamID { StreamID(category: computeCategory, id: id.rawValue) }
}

extension UniqueKey {
    /// What the name of a compute is held by. Each part carries its length: ("a/b", "c") and ("a", "b/c") differ.
    package static func name(_ name: String, namespace: String, in group: GroupID) -> UniqueKey {
        UniqueKey(group: group, scope: "name", key: "\(namespace.utf8.count):\(namespace)/\(name)")
    }

    /// An `Idempotency-Key` as the client sent it.
    package static func idempotency(_ key: String, in group: GroupID) -> UniqueKey {
        UniqueKey(group: group, scope: "idempotency", key: key)
    }
}

extension CounterName {
    /// How many computes of the group have a place, or are about to: requested, running or paused.
    package static func computes(in group: GroupID) -> CounterName { Quota.computes.counter(in: group) }
    /// How many have none and may have one again.
    package static func stoppedComputes(in group: GroupID) -> CounterName {
        CounterName(group: group, name: "stopped-computes")
    }
}

extension Commit {
    /// The commit of what was decided for one compute, with what has to move in the same transaction: the name is
    /// taken when it is requested and given back when it ends, and so is its share of the group's quotas. While it is
    /// stopped it has only its share of the storage.
    ///
    /// - Parameters:
    ///   - before: the state that `events` were decided on.
    ///   - quotas: what a group may have that has none of its own; checked when a compute is requested, and when it is started again.
    ///   - idempotency: the hold of an `Idempotency-Key`; it outlives the compute, so that a late retry is told apart
    ///     from a new request.
    package static func compute(
        _ id: ComputeID, in group: GroupID, expectedVersion: Int, before: Compute.State, events: [ComputeEvent],
        quotas: GroupQuotas = GroupQuotas(), idempotency: UniqueHold? = nil, metadata: EventMetadata,
        at occurredAt: WallTime
    ) -> Commit {
        var commit = Commit(
            appends: [
                StreamAppend(
                    stream: .compute(id), group: group, expectedVersion: expectedVersion, events: events.map(\.recorded)
                )
            ], takes: idempotency.map { [$0] } ?? [], metadata: metadata, occurredAt: occurredAt)
        var state = before
        for event in events {
            switch event {
            case .requested(let spec, _):
                if let key = nameKey(spec, in: group) { commit.takes.append(UniqueHold(key: key, owner: id.rawValue)) }
                commit.counterMoves += spec.quotaMoves(in: group, usual: quotas)
            case .ended:
                if let spec = state.spec, let key = nameKey(spec, in: group) {
                    commit.releases.append(UniqueRelease(key: key, owner: id.rawValue))
                }
                let isStopped = if case .stopped = state { true } else { false }
                commit.counterMoves += state.spec?.quotaReleases(in: group, isStopped ? .rest : .all) ?? []
                if isStopped { commit.counterMoves.append(stopped(-1, in: group)) }
            case .stopped:
                commit.counterMoves += state.spec?.quotaReleases(in: group, .place) ?? []
                commit.counterMoves.append(stopped(1, in: group))
            case .started:
                guard case .stopped(let spec, _, _) = state else { break }
                commit.counterMoves += spec.quotaMoves(in: group, usual: quotas, .place)
                commit.counterMoves.append(stopped(-1, in: group))
            case .extended, .metadataChanged, .lifecycleChanged, .expiryChanged, .networkChanged, .portsChanged,
                .paused, .resumed:
                break
            }
            state = Compute.evolve(state, event)
        }
        return commit
    }

    /// Behind all others, as everywhere: whoever waits for a row of another commit has none that this one waits for.
    private static func stopped(_ delta: Int64, in group: GroupID) -> CounterMove {
        CounterMove(counter: .stoppedComputes(in: group), delta: delta)
    }

    private static func nameKey(_ spec: ComputeSpec, in group: GroupID) -> UniqueKey? {
        spec.name.map { .name($0, namespace: spec.namespace ?? ComputeSpec.defaultNamespace, in: group) }
    }
}
