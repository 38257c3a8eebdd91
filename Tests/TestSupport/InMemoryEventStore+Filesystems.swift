package import ComputeCore
package import ComputeDomain
package import EventSourcing
import Synchronization

extension InMemoryEventStore: FilesystemRecords {
    package func filesystem(_ id: FilesystemID, in group: GroupID?) async throws(EventStoreError)
        -> FilesystemSummary?
    {
        let found = state.withLock { $0.filesystems[id] }
        guard let found, group == nil || group == found.group else { return nil }
        return found
    }

    package func filesystem(named name: String, in group: GroupID) async throws(EventStoreError)
        -> FilesystemSummary?
    {
        state.withLock { $0.filesystems.values.first { $0.group == group && $0.spec.name == name } }
    }

    package func filesystems(in group: GroupID, after cursor: Cursor?, limit: Int) async throws(EventStoreError)
        -> FilesystemPage
    {
        var place = ""
        if let cursor { place = try NameCursor(.filesystems, cursor).name }
        let all = state.withLock { $0.filesystems.values.filter { $0.group == group } }
        let rest = all.filter { place < $0.spec.name }.sorted { $0.spec.name < $1.spec.name }
        return FilesystemPage(rest, limit: limit.clampedPageSize)
    }

    package func unknownFilesystems(among ids: [FilesystemID]) async throws(EventStoreError) -> [FilesystemID] {
        state.withLock { state in ids.filter { state.filesystems[$0] == nil } }
    }
}
