package import ComputeCore

/// The append-only log, with what must change in the same transaction.
///
/// Implementations: SQLite and PostgreSQL in `SQLStore`, memory in the tests. All run one contract suite.
package protocol EventStore: Sendable {
    /// All of the commit, or nothing of it. Durable when it returns `.committed`.
    func commit(_ commit: Commit) async throws(EventStoreError) -> CommitOutcome

    /// The events of one stream in order of version; empty for an unknown stream.
    func events(of stream: StreamID) async throws(EventStoreError) -> [RecordedEvent]

    /// The version of the stream's last event; 0 for an unknown stream.
    func version(of stream: StreamID) async throws(EventStoreError) -> Int

    /// The events of one stream that come after that version.
    func events(of stream: StreamID, after version: Int) async throws(EventStoreError) -> [RecordedEvent]

    /// The last snapshot that was saved; nil when there is none.
    func snapshot(of stream: StreamID) async throws(EventStoreError) -> Snapshot?
    func save(_ snapshot: Snapshot) async throws(EventStoreError)

    /// One event; nil when there is none of that version.
    func event(of stream: StreamID, version: Int) async throws(EventStoreError) -> RecordedEvent?

    /// Events of the log in order, after `cursor` (nil: from the start). Never skips an event that commits late.
    /// - Parameter limit: at most this many, 1 to 1000.
    func events(after cursor: Cursor?, matching filter: EventFilter, limit: Int) async throws(EventStoreError)
        -> EventPage

    /// Waits until the log may hold an event after `cursor`, or `timeout` has passed. A wake-up, not a promise.
    func waitForEvents(after cursor: Cursor?, timeout: Duration) async

    /// The holder of a unique key, if any.
    func holder(of key: UniqueKey) async throws(EventStoreError) -> UniqueHold?

    /// The value of a counter; 0 when it never moved.
    func counter(_ name: CounterName) async throws(EventStoreError) -> Int64

    /// Every counter of a group that ever moved or was limited, by name.
    func counters(in group: GroupID) async throws(EventStoreError) -> [String: CounterState]

    /// A row outside the log, such as the hash of an API key.
    func privateRow(kind: String, key: String) async throws(EventStoreError) -> PrivateRow?
}

extension EventStore {
    package func version(of stream: StreamID) async throws(EventStoreError) -> Int {
        try await events(of: stream).last?.version ?? 0
    }

    package func event(of stream: StreamID, version: Int) async throws(EventStoreError) -> RecordedEvent? {
        try await events(of: stream).first { $0.version == version }
    }

    package func events(of stream: StreamID, after version: Int) async throws(EventStoreError) -> [RecordedEvent] {
        try await events(of: stream).filter { version < $0.version }
    }

    /// A store without snapshots reads whole streams.
    package func snapshot(of stream: StreamID) async throws(EventStoreError) -> Snapshot? { nil }
    package func save(_ snapshot: Snapshot) async throws(EventStoreError) {}

    /// The end of the log as it can be read now; nil for an empty log.
    package func head() async throws(EventStoreError) -> Cursor? {
        // A page of a stream that cannot exist passes everything.
        let nothing = EventFilter(stream: StreamID(category: "", id: ""))
        return try await events(after: nil, matching: nothing, limit: 1).next
    }
}

/// Everything that one decision changes, in one transaction.
package struct Commit: Sendable {
    package var appends: [StreamAppend]
    /// Whose decision it is, where that has to hold until the commit is through: it fails as `.overtaken` otherwise.
    package var standing: Standing?
    /// Unique rows to take; the commit fails as `.taken` when another holds one.
    package var takes: [UniqueHold]
    /// Unique rows to give back. Releasing what nobody holds, or another owner holds, is nothing.
    package var releases: [UniqueRelease]
    package var counterMoves: [CounterMove]
    /// Done before the moves.
    package var counterLimits: [CounterLimit] = []
    package var privateRows: [PrivateRow]
    package var secretValues: [SecretValueChange] = []
    package var metadata: EventMetadata
    package var occurredAt: WallTime

    package init(
        appends: [StreamAppend], standing: Standing? = nil, takes: [UniqueHold] = [], releases: [UniqueRelease] = [],
        counterMoves: [CounterMove] = [], privateRows: [PrivateRow] = [], metadata: EventMetadata,
        occurredAt: WallTime
    ) {
        self.appends = appends
        self.standing = standing
        self.takes = takes
        self.releases = releases
        self.counterMoves = counterMoves
        self.privateRows = privateRows
        self.metadata = metadata
        self.occurredAt = occurredAt
    }
}

/// What somebody was let in by: the record of a credential, with all that it stands on, as they were then.
package struct Standing: Hashable, Sendable {
    package var group: GroupID
    /// `key:<id>`: the name of the record.
    package var credential: String
    package var origins: [String]
    /// Of a key: which of its secrets was shown.
    package var secret: Int?

    package init(group: GroupID, credential: String, origins: [String], secret: Int? = nil) {
        self.group = group
        self.credential = credential
        self.origins = origins
        self.secret = secret
    }
}

package struct StreamAppend: Sendable, Hashable {
    package var stream: StreamID
    package var group: GroupID
    /// The version the stream must have now; 0 for a stream that must not exist.
    package var expectedVersion: Int
    /// At least one.
    package var events: [NewEvent]

    package init(stream: StreamID, group: GroupID, expectedVersion: Int, events: [NewEvent]) {
        self.stream = stream
        self.group = group
        self.expectedVersion = expectedVersion
        self.events = events
    }
}

/// Something that only one owner in a group may hold: a name, an idempotency key.
package struct UniqueKey: Hashable, Sendable {
    package var group: GroupID
    /// `name` or `idempotency`.
    package var scope: String
    package var key: String

    package init(group: GroupID, scope: String, key: String) {
        self.group = group
        self.scope = scope
        self.key = key
    }
}

package struct UniqueHold: Hashable, Sendable {
    package var key: UniqueKey
    /// Who holds it: a compute id.
    package var owner: String
    /// What the holder asked for, so that a repeat with other content can be told from a retry.
    package var fingerprint: String?

    package init(key: UniqueKey, owner: String, fingerprint: String? = nil) {
        self.key = key
        self.owner = owner
        self.fingerprint = fingerprint
    }
}

package struct UniqueRelease: Hashable, Sendable {
    package var key: UniqueKey
    package var owner: String

    package init(key: UniqueKey, owner: String) {
        self.key = key
        self.owner = owner
    }
}

/// A row that is not an event, because it may be secret or may be forgotten; not rebuilt from the log.
package struct PrivateRow: Hashable, Sendable {
    /// `api_key`: key = hash of the key, value = `{"id":…,"secret"?:…}`. `magic_link`: key = hash of its secret, value =
    /// `{"id":…,"redirect":…}`.
    package var kind: String
    package var key: String
    package var group: GroupID
    package var value: JSONValue
    /// From then on any commit that puts a row with such a time may forget this one. nil: kept for good.
    package var expiresAt: WallTime?

    package init(kind: String, key: String, group: GroupID, value: JSONValue, expiresAt: WallTime? = nil) {
        self.kind = kind
        self.key = key
        self.group = group
        self.value = value
        self.expiresAt = expiresAt
    }
}

/// Expected outcomes are values; only a store that cannot do its work throws.
package enum CommitOutcome: Hashable, Sendable {
    /// The events as recorded, in order.
    case committed([RecordedEvent])
    /// Somebody appended to this stream first: reload and decide again.
    case versionConflict(StreamID)
    case taken(UniqueHold)
    case overLimit(CounterName, limit: Int64)
    /// What the standing rests on is over, or means less than it did.
    case overtaken
}

/// Which events of the log a reader wants. Absent parts let everything pass.
package struct EventFilter: Hashable, Sendable {
    /// nil: all groups, for the internal feed only.
    package var group: GroupID?
    package var streams: Set<StreamID>?
    package var types: Set<String>?
    package var actor: String?
    /// From then on, and before then: the times of the events, which follow the log's order only about.
    package var since: WallTime?
    package var until: WallTime?

    package init(
        group: GroupID? = nil, stream: StreamID? = nil, types: Set<String>? = nil, actor: String? = nil,
        since: WallTime? = nil, until: WallTime? = nil
    ) {
        self.group = group
        self.streams = stream.map { [$0] }
        self.types = types
        self.actor = actor
        self.since = since
        self.until = until
    }

    package func accepts(_ event: RecordedEvent) -> Bool {
        (group.map { $0 == event.group } ?? true) && (streams?.contains(event.stream) ?? true)
            && (types?.contains(event.type) ?? true) && (actor.map { $0 == event.metadata.actor } ?? true)
            && (since.map { $0 <= event.occurredAt } ?? true) && (until.map { event.occurredAt < $0 } ?? true)
    }

    /// Whether events have to be looked at one by one, because no index answers: such a page may end before it is full.
    package var looksAtEach: Bool { types != nil || actor != nil || since != nil || until != nil }
}

package struct EventPage: Sendable {
    package var events: [RecordedEvent]
    /// Where to go on: after the last event read (also of those that the filter dropped). Never nil for a page
    /// read after a cursor; nil only when the log is empty and no cursor was given.
    package var next: Cursor?
    /// False when the log held nothing more at the time of reading. A page of a filter may be short, even empty, and
    /// yet have more behind it.
    package var hasMore: Bool
    private let places: @Sendable (Int) -> Cursor?

    /// - Parameter places: the cursor after the event of that index; made when somebody asks.
    package init(
        events: [RecordedEvent], next: Cursor?, hasMore: Bool,
        places: @escaping @Sendable (Int) -> Cursor? = { _ in nil }
    ) {
        self.events = events
        self.next = next
        self.hasMore = hasMore
        self.places = places
    }

    /// Where to go on after the event of that index.
    package func cursor(after index: Int) -> Cursor? { places(index) ?? next }
}

/// A place in the log. Opaque to everyone but the store that made it.
package struct Cursor: Hashable, Sendable, CustomStringConvertible {
    package let rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }
    package var description: String { rawValue }
}

package struct EventStoreError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Hashable {
        /// The cursor is not one of this store's.
        case badCursor
        /// What is stored cannot be read as what it should be.
        case corrupt
        /// The database is down, full or too slow. Trying again later may work.
        case unavailable
    }
    package var code: Code
    package var message: String
    package var cause: (any Error)?

    package init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    package var description: String { "\(code): \(message)\(cause.map { " (\($0))" } ?? "")" }
}
