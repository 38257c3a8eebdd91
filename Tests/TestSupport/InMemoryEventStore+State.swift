import ComputeCore
import ComputeDomain
import EventSourcing

extension InMemoryEventStore {
    /// All that there is, as a value: a commit works on a copy, so that it happens whole or not at all.
    struct State: Sendable {
        struct DeliveryKey: Hashable {
            var webhook: WebhookID
            var eventID: String
        }

        struct RowKey: Hashable {
            var kind: String
            var key: String
        }

        var log: [RecordedEvent] = []
        var versions: [StreamID: Int] = [:]
        var holds: [UniqueKey: UniqueHold] = [:]
        var counters: [CounterName: CounterState] = [:]
        var rows: [RowKey: PrivateRow] = [:]
        var summaries: [ComputeID: ComputeSummary] = [:]
        var sessions: [SessionID: SessionSummary] = [:]
        var records: [AccessRecord.ID: AccessRecord] = [:]
        var snapshots: [StreamID: Snapshot] = [:]
        var webhooks: [WebhookID: WebhookSummary] = [:]
        var deliveries: [DeliveryKey: WebhookDelivery] = [:]
        var checkpoints: [String: Cursor] = [:]
        var leases: [String: (owner: String, end: WallTime)] = [:]
        var secrets: [GroupID: [SecretName: SecretSummary]] = [:]
        var secretValues: [SecretValueRow.Key: SecretValueRow] = [:]
        var filesystems: [FilesystemID: FilesystemSummary] = [:]
        var templates: [TemplateID: TemplateSummary] = [:]
        /// The newest first.
        var templateRevisions: [TemplateID: [TemplateRevision]] = [:]
        var pools: [PoolID: PoolSummary] = [:]

        func chain(_ id: AccessRecord.ID) -> [AccessRecord] {
            var (chain, next) = ([AccessRecord](), Optional(id))
            while let id = next, chain.count < AccessRecord.longestChain, let record = records[id] {
                chain.append(record)
                next = record.ownerID
            }
            return chain
        }

        private mutating func changeRecords(_ event: RecordedEvent) throws(EventStoreError) {
            do {
                for change in try AccessRecord.changes(event, current: { records[$0] }) {
                    switch change {
                    case .put(let record): records[record.id] = record
                    case .remove(let id): records[id] = nil
                    case .removeAll(let group): records = records.filter { $0.value.group != group }
                    case .forgetSessions(let now):
                        records = records.filter { id, record in
                            id.kind != .session || record.expiresAt.map { now < $0 } ?? true
                        }
                    }
                }
            } catch let error as EventStoreError {
                throw error
            } catch {
                throw EventStoreError(.corrupt, "an event cannot be read", cause: error)
            }
        }

        mutating func apply(_ commit: Commit) throws(EventStoreError) -> CommitOutcome {
            if let standing = commit.standing {
                let chain = AccessRecord.ID(standing.credential).map(chain) ?? []
                guard try chain.uphold(standing, at: commit.occurredAt) else { return .overtaken }
            }
            var recorded: [RecordedEvent] = []
            for append in commit.appends {
                var version = versions[append.stream] ?? 0
                guard version == append.expectedVersion else { return .versionConflict(append.stream) }
                for event in append.events {
                    version += 1
                    let event = RecordedEvent(
                        position: Int64(log.count) + 1, stream: append.stream, version: version, group: append.group,
                        type: event.type, data: event.data, metadata: commit.metadata, occurredAt: commit.occurredAt)
                    log.append(event)
                    recorded.append(event)
                    try changeRecords(event)
                    if let id = ComputeID(event.stream.id), event.stream.category == StreamID.computeCategory {
                        summaries[id] = try ComputeSummary.applying(event, to: summaries[id])
                        if event.type == ComputeEvent.TypeName.ended.rawValue {
                            sessions = sessions.filter { $0.value.grant.computeID != id }
                        }
                    }
                    if let id = WebhookID(event.stream.id), event.stream.category == StreamID.webhookCategory {
                        webhooks[id] = try WebhookSummary.applying(event, to: webhooks[id])
                        if webhooks[id] == nil {
                            deliveries = deliveries.filter { $0.value.webhook != id }
                            checkpoints[WebhookSummary.consumer(id)] = nil
                        }
                    }
                    if let name = try SecretSummary.subject(of: event) {
                        secrets[event.group, default: [:]][name] = try SecretSummary.applying(
                            event, to: secrets[event.group]?[name])
                    }
                    if let id = FilesystemID(event.stream.id), event.stream.category == StreamID.filesystemCategory {
                        filesystems[id] = try FilesystemSummary.applying(event, to: filesystems[id])
                    }
                    try changeTemplates(event)
                    if let id = PoolID(event.stream.id), event.stream.category == StreamID.poolCategory {
                        pools[id] = try PoolSummary.applying(event, to: pools[id])
                    }
                    if let id = SessionID(event.stream.id), event.stream.category == StreamID.sessionCategory {
                        sessions = sessions.filter { event.occurredAt < $0.value.grant.expiresAt }
                        sessions[id] = try SessionSummary.applying(event, to: sessions[id])
                    }
                }
                versions[append.stream] = version
            }
            for release in commit.releases where holds[release.key]?.owner == release.owner { holds[release.key] = nil }
            for hold in commit.takes {
                if let holder = holds[hold.key] {
                    guard holder.owner == hold.owner else { return .taken(holder) }
                } else {
                    holds[hold.key] = hold
                }
            }
            for limit in commit.counterLimits {
                counters[limit.counter, default: CounterState()].ownLimit = limit.limit
            }
            for move in commit.counterMoves {
                let state = counters[move.counter] ?? CounterState()
                guard let value = move.applied(to: state, at: commit.occurredAt) else {
                    return .overLimit(move.counter, limit: move.limit(of: state) ?? .max)
                }
                counters[move.counter, default: CounterState()].value = value
            }
            if commit.privateRows.contains(where: { $0.expiresAt != nil }) {
                rows = rows.filter { $0.value.expiresAt.map { commit.occurredAt < $0 } ?? true }
            }
            for row in commit.privateRows { rows[RowKey(kind: row.kind, key: row.key)] = row }
            for change in commit.secretValues { apply(change) }
            return .committed(recorded)
        }
    }
}
