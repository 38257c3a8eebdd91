package import ComputeCore
package import EventSourcing

/// What is known of templates.
package protocol TemplateRecords: Sendable {
    /// Another group's is nil, as if absent.
    func template(_ id: TemplateID, in group: GroupID) async throws(EventStoreError) -> TemplateSummary?

    func template(named name: String, in group: GroupID) async throws(EventStoreError) -> TemplateSummary?

    /// By name.
    /// - Parameter limit: at most this many, 1 to 1000.
    func templates(in group: GroupID, after cursor: Cursor?, limit: Int) async throws(EventStoreError) -> TemplatePage

    /// One that is kept; nil for an older one as well.
    func revision(_ revision: Int64, of id: TemplateID, in group: GroupID) async throws(EventStoreError)
        -> TemplateRevision?

    /// Those that are kept, the newest first.
    /// - Parameter limit: at most this many, 1 to 1000.
    func revisions(of id: TemplateID, in group: GroupID, after cursor: Cursor?, limit: Int)
        async throws(EventStoreError) -> TemplateRevisionPage
}

/// What a template said from then on, until its next revision. Never changes.
package struct TemplateRevision: Hashable, Sendable {
    /// So many are kept of a template, the newest ones: more than anybody goes back, and far from filling a disk.
    package static let kept: Int64 = 100

    /// 1 for the first.
    package var revision: Int64
    package var spec: TemplateSpec
    package var createdAt: WallTime

    package init(revision: Int64, spec: TemplateSpec, createdAt: WallTime) {
        self.revision = revision
        self.spec = spec
        self.createdAt = createdAt
    }
}

/// One template as lists show it: with its newest revision.
package struct TemplateSummary: Hashable, Sendable {
    package var id: TemplateID
    package var group: GroupID
    package var newest: TemplateRevision
    package var createdAt: WallTime
    /// The version of the stream that this row shows.
    package var version: Int

    package init(id: TemplateID, group: GroupID, newest: TemplateRevision, createdAt: WallTime, version: Int) {
        self.id = id
        self.group = group
        self.newest = newest
        self.createdAt = createdAt
        self.version = version
    }

    /// The row after `event`; pure. nil: there is none.
    /// - Throws: `.corrupt` when the event cannot be read or does not follow on the row.
    package static func applying(_ event: RecordedEvent, to row: TemplateSummary?) throws(EventStoreError)
        -> TemplateSummary?
    {
        guard event.stream.category == StreamID.templateCategory else { return row }
        let change = try TemplateEvent(type: event.type, data: event.data)
        guard var next = row else {
            guard let id = TemplateID(event.stream.id), case .created(let spec) = change else {
                throw EventStoreError(.corrupt, "the stream \(event.stream) does not start with a creation")
            }
            return TemplateSummary(
                id: id, group: event.group,
                newest: TemplateRevision(revision: 1, spec: spec, createdAt: event.occurredAt),
                createdAt: event.occurredAt, version: event.version)
        }
        guard next.group == event.group, event.version == next.version + 1 else {
            throw EventStoreError(.corrupt, "an event of \(event.stream) does not follow on its summary")
        }
        next.version = event.version
        switch change {
        case nil: break
        case .created: throw EventStoreError(.corrupt, "the stream \(event.stream) was created twice")
        case .revised(let spec, let revision):
            guard revision == next.newest.revision + 1 else {
                throw EventStoreError(.corrupt, "a revision of \(event.stream) does not follow on the one before")
            }
            next.newest = TemplateRevision(revision: revision, spec: spec, createdAt: event.occurredAt)
        case .deleted: return nil
        }
        return next
    }
}
