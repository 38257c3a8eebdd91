package import ComputeCore
package import EventSourcing

/// What is known of filesystems.
package protocol FilesystemRecords: Sendable {
    /// - Parameter group: nil for any.
    func filesystem(_ id: FilesystemID, in group: GroupID?) async throws(EventStoreError) -> FilesystemSummary?

    func filesystem(named name: String, in group: GroupID) async throws(EventStoreError) -> FilesystemSummary?

    /// By name.
    /// - Parameter limit: at most this many, 1 to 1000.
    func filesystems(in group: GroupID, after cursor: Cursor?, limit: Int) async throws(EventStoreError)
        -> FilesystemPage

    /// Those of `ids` that no group has.
    func unknownFilesystems(among ids: [FilesystemID]) async throws(EventStoreError) -> [FilesystemID]
}

/// One filesystem as lists show it.
package struct FilesystemSummary: Hashable, Sendable {
    package var id: FilesystemID
    package var group: GroupID
    package var spec: FilesystemSpec
    /// Who has it now.
    package var attachments: [ComputeID: FilesystemAttachment]
    /// Whether anybody ever had it: until then there is nothing in it that could be lost.
    package var wasAttached: Bool
    package var createdAt: WallTime
    package var updatedAt: WallTime
    /// The version of the stream that this row shows.
    package var version: Int

    package init(
        id: FilesystemID, group: GroupID, spec: FilesystemSpec, attachments: [ComputeID: FilesystemAttachment] = [:],
        wasAttached: Bool = false, createdAt: WallTime, updatedAt: WallTime, version: Int
    ) {
        self.id = id
        self.group = group
        self.spec = spec
        self.attachments = attachments
        self.wasAttached = wasAttached
        self.createdAt = createdAt
        self.updatedAt = updatedAt
        self.version = version
    }

    /// The row after `event`; pure. nil: there is none.
    /// - Throws: `.corrupt` when the event cannot be read or does not follow on the row.
    package static func applying(_ event: RecordedEvent, to row: FilesystemSummary?) throws(EventStoreError)
        -> FilesystemSummary?
    {
        guard event.stream.category == StreamID.filesystemCategory else { return row }
        let change = try FilesystemEvent(type: event.type, data: event.data)
        guard var next = row else {
            guard let id = FilesystemID(event.stream.id), case .created(let spec) = change else {
                throw EventStoreError(.corrupt, "the stream \(event.stream) does not start with a creation")
            }
            return FilesystemSummary(
                id: id, group: event.group, spec: spec, createdAt: event.occurredAt, updatedAt: event.occurredAt,
                version: event.version)
        }
        guard next.group == event.group, event.version == next.version + 1 else {
            throw EventStoreError(.corrupt, "an event of \(event.stream) does not follow on its summary")
        }
        (next.version, next.updatedAt) = (event.version, event.occurredAt)
        switch change {
        case nil: break
        case .created: throw EventStoreError(.corrupt, "the stream \(event.stream) was created twice")
        case .attached(let compute, let attachment):
            next.attachments[compute] = attachment
            next.wasAttached = true
        case .detached(let compute): next.attachments[compute] = nil
        case .deleted: return nil
        }
        return next
    }
}

package struct FilesystemPage: Sendable {
    package var filesystems: [FilesystemSummary]
    /// Where to go on; nil when this was the last page.
    package var next: Cursor?

    /// - Parameter found: up to one more than `limit`, which tells that there is a next page.
    package init(_ found: [FilesystemSummary], limit: Int) {
        filesystems = Array(found.prefix(limit))
        next = found.count > limit ? filesystems.last.map { NameCursor(.filesystems, after: $0.spec.name).cursor } : nil
    }
}
