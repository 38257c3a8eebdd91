package import ComputeCore
package import ComputeDomain
package import EventSourcing
import Synchronization

extension InMemoryEventStore: PoolRecords {
    package func pool(_ id: PoolID, in group: GroupID) async throws(EventStoreError) -> PoolSummary? {
        state.withLock { $0.pools[id] }.flatMap { $0.group == group ? $0 : nil }
    }

    package func pool(named name: String, in group: GroupID) async throws(EventStoreError) -> PoolSummary? {
        state.withLock { $0.pools.values.first { $0.group == group && $0.spec.name == name } }
    }

    package func pools(in group: GroupID, after cursor: Cursor?, limit: Int) async throws(EventStoreError)
        -> PoolPage
    {
        var place = ""
        if let cursor { place = try NameCursor(.pools, cursor).name }
        let all = state.withLock { $0.pools.values.filter { $0.group == group } }
        let rest = all.filter { place < $0.spec.name }.sorted { $0.spec.name < $1.spec.name }
        return PoolPage(rest, limit: limit.clampedPageSize)
    }

    package func supplies(after id: PoolID?, limit: Int) async throws(EventStoreError) -> [PoolSupply] {
        state.withLock { state in
            state.pools.values.filter { pool in id.map { $0 < pool.id } ?? true }.sorted { $0.id < $1.id }
                .prefix(limit.clampedPageSize).map { pool in
                    let template = state.templates[pool.spec.template].flatMap { $0.group == pool.group ? $0 : nil }
                    let wanted = pool.spec.templateRevision ?? template?.newest.revision
                    let revision = template.flatMap { state.templateRevisions[$0.id] }?
                        .first { $0.revision == wanted }
                    return PoolSupply(pool: pool, defaults: revision?.spec.defaults)
                }
        }
    }
}
