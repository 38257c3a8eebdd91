package import ComputeCore
package import ComputeDomain
package import EventSourcing

/// What the stores over SQL have in common: all that reads one thing.
package protocol SQLEventStore: EventStore, ComputeSummaries, SessionSummaries, AccessRecords, Webhooks, Consumers,
    SecretRecords, FilesystemRecords, TemplateRecords, PoolRecords, UsageRecords
{
    /// Runs `work` on a connection, off the threads that async code runs on.
    func read<T: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> T) async throws(EventStoreError)
        -> T
    /// The same in a transaction that may write. It happens whole or not at all.
    func write<T: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> T) async throws(EventStoreError)
        -> T
}

extension SQLEventStore {
    // MARK: - EventStore

    package func events(of stream: StreamID) async throws(EventStoreError) -> [RecordedEvent] {
        try await read { try EventSQL(db: $0).events(of: stream) }
    }

    package func version(of stream: StreamID) async throws(EventStoreError) -> Int {
        try await read { try CommitSQL(db: $0).version(of: stream) }
    }

    package func events(of stream: StreamID, after version: Int) async throws(EventStoreError) -> [RecordedEvent] {
        try await read { try EventSQL(db: $0).events(of: stream, after: version) }
    }

    package func snapshot(of stream: StreamID) async throws(EventStoreError) -> Snapshot? {
        try await read { try SnapshotSQL(db: $0).snapshot(of: stream) }
    }

    package func save(_ snapshot: Snapshot) async throws(EventStoreError) {
        try await write { try SnapshotSQL(db: $0).save(snapshot) }
    }

    package func event(of stream: StreamID, version: Int) async throws(EventStoreError) -> RecordedEvent? {
        try await read { try EventSQL(db: $0).event(of: stream, version: version) }
    }

    package func holder(of key: UniqueKey) async throws(EventStoreError) -> UniqueHold? {
        try await read { try CommitSQL(db: $0).holder(of: key) }
    }

    package func counter(_ name: CounterName) async throws(EventStoreError) -> Int64 {
        try await read { try CounterSQL(db: $0).counter(name) }
    }

    package func counters(in group: GroupID) async throws(EventStoreError) -> [String: CounterState] {
        try await read { try CounterSQL(db: $0).counters(in: group) }
    }

    package func privateRow(kind: String, key: String) async throws(EventStoreError) -> PrivateRow? {
        try await read { try CommitSQL(db: $0).privateRow(kind: kind, key: key) }
    }

    // MARK: - ComputeSummaries

    package func summary(_ id: ComputeID, in group: GroupID?) async throws(EventStoreError) -> ComputeSummary? {
        try await read { try SummarySQL(db: $0).summary(id, in: group) }
    }

    package func summaries(in group: GroupID, matching filter: SummaryFilter, after cursor: Cursor?, limit: Int)
        async throws(EventStoreError) -> SummaryPage
    {
        try await read { try SummarySQL(db: $0).page(in: group, matching: filter, after: cursor, limit: limit) }
    }

    package func named(_ name: String, namespace: String, in group: GroupID) async throws(EventStoreError)
        -> ComputeSummary?
    {
        try await read { try SummarySQL(db: $0).named(name, namespace: namespace, in: group) }
    }

    package func living(expiringBefore time: WallTime, limit: Int) async throws(EventStoreError) -> [ComputeSummary] {
        try await read { try SummarySQL(db: $0).living(expiringBefore: time, limit: limit) }
    }

    package func unended(after id: ComputeID?, limit: Int) async throws(EventStoreError) -> [ComputeSummary] {
        try await read { try SummarySQL(db: $0).unended(after: id, limit: limit) }
    }

    // MARK: - SessionSummaries

    package func session(_ id: SessionID) async throws(EventStoreError) -> SessionSummary? {
        try await read { try SessionSQL(db: $0).session(id) }
    }

    package func sessions(of id: ComputeID, goodAt time: WallTime, limit: Int) async throws(EventStoreError)
        -> [SessionSummary]
    {
        try await read { try SessionSQL(db: $0).sessions(of: id, goodAt: time, limit: limit) }
    }

    package func revokedSessionCount(of id: ComputeID, at time: WallTime) async throws(EventStoreError) -> Int {
        try await read { try SessionSQL(db: $0).revokedCount(of: id, at: time) }
    }

    package func noteUses(_ uses: [SessionID: WallTime]) async throws(EventStoreError) {
        try await write { try SessionSQL(db: $0).noteUses(uses) }
    }

    // MARK: - AccessRecords

    package func chain(_ id: AccessRecord.ID) async throws(EventStoreError) -> [AccessRecord] {
        try await read { try AccessSQL(db: $0).chain(id) }
    }

    package func chain(keyHash: String) async throws(EventStoreError) -> KeyFinding? {
        try await read { try AccessSQL(db: $0).chain(keyHash: keyHash) }
    }

    package func records(
        _ kind: AccessRecord.Kind, in group: GroupID?, ownedBy owner: String?, after cursor: Cursor?, limit: Int
    ) async throws(EventStoreError) -> AccessPage {
        try await read { try AccessSQL(db: $0).page(kind, in: group, ownedBy: owner, after: cursor, limit: limit) }
    }

    package func noteAccess(_ uses: [AccessRecord.ID: WallTime]) async throws(EventStoreError) {
        try await write { try AccessSQL(db: $0).noteAccess(uses) }
    }

    // MARK: - SecretRecords

    package func secret(_ name: SecretName, in group: GroupID) async throws(EventStoreError) -> SecretSummary? {
        try await read { try SecretSQL(db: $0).secret(name, in: group) }
    }

    package func secrets(in group: GroupID, after cursor: Cursor?, limit: Int) async throws(EventStoreError)
        -> SecretPage
    {
        try await read { try SecretSQL(db: $0).page(in: group, after: cursor, limit: limit) }
    }

    package func secretValue(_ key: SecretValueRow.Key) async throws(EventStoreError) -> SecretValueRow? {
        try await read { try SecretSQL(db: $0).value(key) }
    }

    package func secretValues(notUnder masterKey: String, after key: SecretValueRow.Key?, limit: Int)
        async throws(EventStoreError) -> [SecretValueRow]
    {
        try await read { try SecretSQL(db: $0).values(notUnder: masterKey, after: key, limit: limit) }
    }

    // MARK: - FilesystemRecords

    package func filesystem(_ id: FilesystemID, in group: GroupID?) async throws(EventStoreError)
        -> FilesystemSummary?
    {
        try await read { try FilesystemSQL(db: $0).filesystem(id, in: group) }
    }

    package func filesystem(named name: String, in group: GroupID) async throws(EventStoreError)
        -> FilesystemSummary?
    {
        try await read { try FilesystemSQL(db: $0).filesystem(named: name, in: group) }
    }

    package func filesystems(in group: GroupID, after cursor: Cursor?, limit: Int) async throws(EventStoreError)
        -> FilesystemPage
    {
        try await read { try FilesystemSQL(db: $0).page(in: group, after: cursor, limit: limit) }
    }

    package func unknownFilesystems(among ids: [FilesystemID]) async throws(EventStoreError) -> [FilesystemID] {
        try await read { try FilesystemSQL(db: $0).unknown(among: ids) }
    }

    // MARK: - TemplateRecords

    package func template(_ id: TemplateID, in group: GroupID) async throws(EventStoreError) -> TemplateSummary? {
        try await read { try TemplateSQL(db: $0).template(id, in: group) }
    }

    package func template(named name: String, in group: GroupID) async throws(EventStoreError) -> TemplateSummary? {
        try await read { try TemplateSQL(db: $0).template(named: name, in: group) }
    }

    package func templates(in group: GroupID, after cursor: Cursor?, limit: Int) async throws(EventStoreError)
        -> TemplatePage
    {
        try await read { try TemplateSQL(db: $0).page(in: group, after: cursor, limit: limit) }
    }

    package func revision(_ revision: Int64, of id: TemplateID, in group: GroupID) async throws(EventStoreError)
        -> TemplateRevision?
    {
        try await read { try TemplateSQL(db: $0).revision(revision, of: id, in: group) }
    }

    package func revisions(of id: TemplateID, in group: GroupID, after cursor: Cursor?, limit: Int)
        async throws(EventStoreError) -> TemplateRevisionPage
    {
        try await read { try TemplateSQL(db: $0).revisions(of: id, in: group, after: cursor, limit: limit) }
    }

    // MARK: - PoolRecords

    package func pool(_ id: PoolID, in group: GroupID) async throws(EventStoreError) -> PoolSummary? {
        try await read { try PoolSQL(db: $0).pool(id, in: group) }
    }

    package func pool(named name: String, in group: GroupID) async throws(EventStoreError) -> PoolSummary? {
        try await read { try PoolSQL(db: $0).pool(named: name, in: group) }
    }

    package func pools(in group: GroupID, after cursor: Cursor?, limit: Int) async throws(EventStoreError) -> PoolPage {
        try await read { try PoolSQL(db: $0).page(in: group, after: cursor, limit: limit) }
    }

    package func supplies(after id: PoolID?, limit: Int) async throws(EventStoreError) -> [PoolSupply] {
        try await read { try PoolSQL(db: $0).supplies(after: id, limit: limit) }
    }

    // MARK: - UsageRecords

    package func usage(of group: GroupID, from first: UsageDay, through last: UsageDay, at now: WallTime)
        async throws(EventStoreError) -> UsageByDay
    {
        try await read { try UsageSQL(db: $0).usage(of: group, from: first, through: last, at: now) }
    }
}
