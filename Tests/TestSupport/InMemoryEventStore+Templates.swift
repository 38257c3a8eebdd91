package import ComputeCore
package import ComputeDomain
package import EventSourcing
import Synchronization

extension InMemoryEventStore: TemplateRecords {
    package func template(_ id: TemplateID, in group: GroupID) async throws(EventStoreError) -> TemplateSummary? {
        state.withLock { $0.templates[id] }.flatMap { $0.group == group ? $0 : nil }
    }

    package func template(named name: String, in group: GroupID) async throws(EventStoreError) -> TemplateSummary? {
        state.withLock { $0.templates.values.first { $0.group == group && $0.newest.spec.name == name } }
    }

    package func templates(in group: GroupID, after cursor: Cursor?, limit: Int) async throws(EventStoreError)
        -> TemplatePage
    {
        var place = ""
        if let cursor { place = try NameCursor(.templates, cursor).name }
        let all = state.withLock { $0.templates.values.filter { $0.group == group } }
        let rest = all.filter { place < $0.newest.spec.name }.sorted { $0.newest.spec.name < $1.newest.spec.name }
        return TemplatePage(rest, limit: limit.clampedPageSize)
    }

    package func revision(_ revision: Int64, of id: TemplateID, in group: GroupID) async throws(EventStoreError)
        -> TemplateRevision?
    {
        kept(of: id, in: group).first { $0.revision == revision }
    }

    package func revisions(of id: TemplateID, in group: GroupID, after cursor: Cursor?, limit: Int)
        async throws(EventStoreError) -> TemplateRevisionPage
    {
        var place = Int64.max
        if let cursor { place = try TemplateRevisionCursor(cursor).revision }
        let rest = kept(of: id, in: group).filter { $0.revision < place }
        return TemplateRevisionPage(rest, limit: limit.clampedPageSize)
    }

    /// The newest first.
    private func kept(of id: TemplateID, in group: GroupID) -> [TemplateRevision] {
        state.withLock { state in
            guard state.templates[id]?.group == group else { return [] }
            return state.templateRevisions[id] ?? []
        }
    }
}

extension InMemoryEventStore.State {
    mutating func changeTemplates(_ event: RecordedEvent) throws(EventStoreError) {
        guard event.stream.category == StreamID.templateCategory, let id = TemplateID(event.stream.id) else { return }
        let before = templates[id]
        templates[id] = try TemplateSummary.applying(event, to: before)
        guard let newest = templates[id]?.newest else {
            templateRevisions[id] = nil
            return
        }
        guard newest != before?.newest else { return }
        let all = [newest] + (templateRevisions[id] ?? [])
        templateRevisions[id] = Array(all.prefix(Int(TemplateRevision.kept)))
    }
}
