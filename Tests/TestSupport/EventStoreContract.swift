import ComputeCore
package import ComputeDomain
package import EventSourcing

/// What every event store must do, whatever it is made of. A test target runs each clause on a fresh, empty store.
package struct EventStoreContract: Sendable, CustomStringConvertible {
    package typealias Store = EventStore & ComputeSummaries & SessionSummaries & AccessRecords & Webhooks & Consumers
        & SecretRecords & FilesystemRecords & TemplateRecords & PoolRecords & UsageRecords
    package var description: String
    package var run: @Sendable (any Store) async throws -> Void

    package static let all: [EventStoreContract] =
        log + filters + snapshots + rows + readModel + lists + sessions + access + webhooks + consumers + secrets
        + filesystems + templates + pools + quotas + usage
        + races
}

package struct ContractViolation: Error, CustomStringConvertible {
    package var description: String
}

func require(_ condition: Bool, _ message: String, line: Int = #line) throws {
    if !condition { throw ContractViolation(description: "\(message) (line \(line))") }
}

func require<T>(_ value: T?, _ message: String, line: Int = #line) throws -> T {
    guard let value else { throw ContractViolation(description: "\(message) (line \(line))") }
    return value
}

let start = WallTime(milliseconds: 1_800_000_000_000)
let other = GroupID("other")

extension Commit {
    /// Some events on a stream of no aggregate.
    static func notes(_ id: String, from version: Int = 0, count: Int = 1, in group: GroupID = .default) -> Commit {
        Commit(
            appends: [
                StreamAppend(
                    stream: StreamID(category: "note", id: id), group: group, expectedVersion: version,
                    events: (0..<count).map { NewEvent(type: "Noted", data: .object(["n": .int(Int64($0))])) })
            ], metadata: EventMetadata(actor: "key:k1", requestID: "r1"), occurredAt: start)
    }

    static func request(
        _ id: ComputeID, name: String? = nil, in group: GroupID = .default, at: WallTime = start, limit: Int64? = nil
    ) -> Commit {
        .compute(
            id, in: group, expectedVersion: 0, before: .absent,
            events: [.requested(ComputeSpec(name: name, timeout: .seconds(60), metadata: ["k": .string("v")]), at: at)],
            quotas: GroupQuotas(limit.map { [.computes: $0] } ?? [:]), metadata: .system, at: at)
    }
}

extension EventStore {
    /// All events after `cursor`, page by page.
    func drain(after cursor: Cursor? = nil, matching filter: EventFilter = EventFilter(), limit: Int) async throws
        -> (events: [RecordedEvent], next: Cursor?)
    {
        var (events, next) = ([RecordedEvent](), cursor)
        while true {
            let page = try await self.events(after: next, matching: filter, limit: limit)
            try require(page.events.count <= limit, "a page is longer than its limit")
            events += page.events
            next = page.next
            if !page.hasMore { return (events, next) }
        }
    }
}

extension CommitOutcome {
    package var isCommitted: Bool {
        if case .committed = self { true } else { false }
    }
}

extension EventStoreContract {
    static let log = [
        EventStoreContract(description: "events come back as they were appended") { store in
            let commit = Commit.notes("a", count: 3)
            guard case .committed(let recorded) = try await store.commit(commit) else {
                throw ContractViolation(description: "not committed")
            }
            try require(recorded.map(\.version) == [1, 2, 3], "versions count from 1")
            try require(recorded.map(\.data) == commit.appends[0].events.map(\.data), "data")
            try require(recorded.allSatisfy { $0.metadata == commit.metadata && $0.occurredAt == start }, "metadata")
            try require(try await store.events(of: commit.appends[0].stream) == recorded, "the stream")
            try require(try await store.drain(limit: 10).events == recorded, "the log")
            try require(try await store.events(of: StreamID(category: "note", id: "?")).isEmpty, "unknown stream")
        },
        EventStoreContract(description: "a version that is not expected is a conflict and changes nothing") { store in
            _ = try await store.commit(.notes("a"))
            for version in [0, 2, -1] {
                let outcome = try await store.commit(.notes("a", from: version))
                try require(outcome == .versionConflict(StreamID(category: "note", id: "a")), "\(version)")
            }
            try require(try await store.commit(.notes("b", from: 1)).isCommitted == false, "absent stream")
            try require(try await store.drain(limit: 10).events.count == 1, "the log did not change")
        },
        EventStoreContract(description: "a commit is carried out whole or not at all") { store in
            let key = UniqueKey(group: .default, scope: "name", key: "x")
            let count = CounterName(group: .default, name: "n")
            _ = try await store.commit(.notes("held"))
            var first = Commit.notes("first")
            first.takes = [UniqueHold(key: key, owner: "first")]
            first.counterMoves = [CounterMove(counter: count, delta: 1)]
            _ = try await store.commit(first)
            // Each fails in its last part, after parts that would have succeeded.
            var conflict = Commit.notes("new")
            conflict.appends += Commit.notes("held").appends
            var taken = Commit.notes("new")
            taken.takes = [
                UniqueHold(key: UniqueKey(group: .default, scope: "name", key: "free"), owner: "new"),
                UniqueHold(key: key, owner: "new"),
            ]
            var limited = Commit.notes("new")
            limited.releases = [UniqueRelease(key: key, owner: "first")]
            limited.privateRows = [PrivateRow(kind: "k", key: "k", group: .default, value: .null)]
            limited.counterMoves = [
                CounterMove(counter: CounterName(group: .default, name: "m"), delta: 1),
                CounterMove(counter: count, delta: 1, limit: 1),
            ]
            try require(try await store.commit(conflict) == .versionConflict(conflict.appends[1].stream), "conflict")
            try require(try await store.commit(taken) == .taken(first.takes[0]), "taken")
            try require(try await store.commit(limited) == .overLimit(count, limit: 1), "limited")
            try require(try await store.events(of: conflict.appends[0].stream).isEmpty, "events remain")
            try require(try await store.holder(of: taken.takes[0].key) == nil, "a hold remains")
            try require(try await store.holder(of: key)?.owner == "first", "a release remains")
            try require(try await store.counter(CounterName(group: .default, name: "m")) == 0, "a move remains")
            try require(try await store.privateRow(kind: "k", key: "k") == nil, "a row remains")
            try require(try await store.commit(.notes("new")).isCommitted, "the stream is free")
        },
        EventStoreContract(description: "pages follow each other without gap or repeat, filtered or not") { store in
            for n in 0..<10 { _ = try await store.commit(.notes("s\(n)", count: 3, in: n % 2 == 0 ? .default : other)) }
            let all = try await store.drain(limit: 1000).events
            try require(all.count == 30, "all groups")
            try require(zip(all, all.dropFirst()).allSatisfy { $0.position < $1.position }, "order")
            for limit in [1, 2, 7, 30, 31] {
                try require(try await store.drain(limit: limit).events == all, "limit \(limit)")
                let mine = try await store.drain(matching: EventFilter(group: other), limit: limit)
                try require(mine.events == all.filter { $0.group == other }, "group, limit \(limit)")
                let stream = StreamID(category: "note", id: "s3")
                let one = try await store.drain(matching: EventFilter(group: other, stream: stream), limit: limit)
                try require(one.events == all.filter { $0.stream == stream }, "stream, limit \(limit)")
                let foreign = EventFilter(group: .default, stream: stream)
                try require(
                    try await store.drain(matching: foreign, limit: limit).events.isEmpty, "another group's stream")
                let after = try await store.drain(after: mine.next, limit: limit)
                try require(after.events.isEmpty, "a filtered page passes what it dropped")
            }
        },
        EventStoreContract(description: "an empty log has no cursor and a wrong cursor is an error") { store in
            let empty = try await store.events(after: nil, matching: EventFilter(), limit: 10)
            try require(empty.events.isEmpty && empty.next == nil && !empty.hasMore, "empty")
            _ = try await store.commit(.notes("a"))
            for text in ["", "x", "1", "' OR 1=1 --", "ZQEAAAAAAAAAAg"] {
                do {
                    _ = try await store.events(after: Cursor(rawValue: text), matching: EventFilter(), limit: 10)
                    throw ContractViolation(description: "\(text) is taken for a cursor")
                } catch let error as EventStoreError {
                    try require(error.code == .badCursor, "\(text): \(error.code)")
                }
            }
            let page = try await store.events(after: nil, matching: EventFilter(), limit: 10)
            let next = try await store.events(after: page.next, matching: EventFilter(), limit: 10)
            try require(next.events.isEmpty && next.next == page.next && !next.hasMore, "the end stays the end")
        },
        EventStoreContract(description: "a waiting reader is woken by a commit") { store in
            let clock = ContinuousClock()
            async let waited = clock.measure { await store.waitForEvents(after: nil, timeout: .seconds(30)) }
            _ = try await store.commit(.notes("a"))
            try require(await waited < .seconds(15), "the wait ran into its timeout")
            let cursor = try await store.drain(limit: 10).next
            let idle = await clock.measure { await store.waitForEvents(after: cursor, timeout: .milliseconds(20)) }
            try require(idle >= .milliseconds(20), "woken by what was read already")
            let bad = Cursor(rawValue: "x")
            try require(
                await clock.measure { await store.waitForEvents(after: bad, timeout: .seconds(30)) } < .seconds(15),
                "bad")
        },
    ]
}
