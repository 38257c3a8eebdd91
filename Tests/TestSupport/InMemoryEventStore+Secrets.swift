package import ComputeCore
package import ComputeDomain
package import EventSourcing
import Synchronization

extension InMemoryEventStore: SecretRecords {
    package func secret(_ name: SecretName, in group: GroupID) async throws(EventStoreError) -> SecretSummary? {
        state.withLock { $0.secrets[group]?[name] }
    }

    package func secrets(in group: GroupID, after cursor: Cursor?, limit: Int) async throws(EventStoreError)
        -> SecretPage
    {
        var place: SecretName?
        if let cursor { place = try SecretCursor(cursor).name }
        let all = state.withLock { $0.secrets[group].map { Array($0.values) } ?? [] }
        let rest = all.filter { row in place.map { $0 < row.name } ?? true }.sorted { $0.name < $1.name }
        return SecretPage(rest, limit: limit.clampedPageSize)
    }

    package func secretValue(_ key: SecretValueRow.Key) async throws(EventStoreError) -> SecretValueRow? {
        state.withLock { $0.secretValues[key] }
    }

    package func secretValues(notUnder masterKey: String, after key: SecretValueRow.Key?, limit: Int)
        async throws(EventStoreError) -> [SecretValueRow]
    {
        func place(_ key: SecretValueRow.Key) -> (String, SecretName, Int64) {
            (key.group.rawValue, key.name, key.version)
        }
        let found = state.withLock { $0.secretValues.values.filter { $0.masterKey != masterKey } }
        let rest = found.filter { row in key.map { place($0) < place(row.key) } ?? true }
        return Array(rest.sorted { place($0.key) < place($1.key) }.prefix(min(max(limit, 1), 100)))
    }
}

extension InMemoryEventStore.State {
    mutating func apply(_ change: SecretValueChange) {
        switch change {
        case .put(let row): secretValues[row.key] = row
        case .forget(let group, let name, let version):
            secretValues = secretValues.filter { key, _ in
                key.group != group || key.name != name || version < key.version
            }
        case .rewrap(let row, let former):
            guard let old = secretValues[row.key], old.masterKey == former else { return }
            secretValues[row.key]?.masterKey = row.masterKey
            secretValues[row.key]?.wrappedKey = row.wrappedKey
        }
    }
}
