import ComputeCore
import ComputeDomain
import EventSourcing

extension EventStoreContract {
    static let rows = [
        EventStoreContract(description: "a unique key has one owner until that owner gives it back") { store in
            let key = UniqueKey(group: .default, scope: "name", key: "x'; DROP TABLE events; --\0é")
            func take(_ owner: String, _ stream: String, release: String? = nil) async throws -> CommitOutcome {
                var commit = Commit.notes(stream)
                commit.takes = [UniqueHold(key: key, owner: owner, fingerprint: "f-\(owner)")]
                if let release { commit.releases = [UniqueRelease(key: key, owner: release)] }
                return try await store.commit(commit)
            }
            try require(try await store.holder(of: key) == nil, "free at first")
            try require(try await take("one", "1").isCommitted, "free")
            let hold = UniqueHold(key: key, owner: "one", fingerprint: "f-one")
            try require(try await take("two", "2") == .taken(hold), "taken")
            try require(try await take("one", "3").isCommitted, "the owner may take it again")
            try require(try await take("two", "4", release: "two") == .taken(hold), "released by another")
            try require(try await store.holder(of: key) == hold, "still held")
            try require(try await take("two", "5", release: "one").isCommitted, "handed over in one commit")
            try require(try await store.holder(of: key)?.owner == "two", "handed over")
            for (group, scope) in [(other, "name"), (GroupID.default, "idempotency")] {
                let elsewhere = UniqueKey(group: group, scope: scope, key: key.key)
                try require(try await store.holder(of: elsewhere) == nil, "groups and scopes are apart")
            }
        },
        EventStoreContract(description: "private rows are replaced whole and kept by kind and key") { store in
            func put(_ kind: String, _ value: JSONValue) async throws {
                var commit = Commit(appends: [], metadata: .system, occurredAt: start)
                commit.privateRows = [PrivateRow(kind: kind, key: "h", group: other, value: value)]
                try require(try await store.commit(commit).isCommitted, "commit")
            }
            let document = JSONValue.object([
                "id": .string("k\u{0}é"), "n": .array([.int(.max), .double(0.5), .bool(true), .null]),
            ])
            try await put("api_key", .object(["id": .string("old")]))
            try await put("api_key", document)
            let expected = PrivateRow(kind: "api_key", key: "h", group: other, value: document)
            try require(try await store.privateRow(kind: "api_key", key: "h") == expected, "replaced")
            try require(try await store.privateRow(kind: "other", key: "h") == nil, "kind")
            try require(try await store.privateRow(kind: "api_key", key: "H") == nil, "key")
            try require(try await store.drain(limit: 10).events.isEmpty, "private rows are not in the log")
        },
        EventStoreContract(description: "a counter is limited on the way up only") { store in
            let count = CounterName(group: .default, name: "n")
            func move(_ delta: Int64, limit: Int64?) async throws -> CommitOutcome {
                var commit = Commit(appends: [], metadata: .system, occurredAt: start)
                commit.counterMoves = [CounterMove(counter: count, delta: delta, limit: limit)]
                return try await store.commit(commit)
            }
            try require(try await move(2, limit: 2).isCommitted, "up to the limit")
            try require(try await move(1, limit: 2) == .overLimit(count, limit: 2), "not above")
            try require(try await move(3, limit: nil).isCommitted, "no limit")
            try require(try await move(-1, limit: 2).isCommitted, "down, though still above")
            try require(try await store.counter(count) == 4, "value")
            try require(try await store.counter(CounterName(group: other, name: "n")) == 0, "groups are apart")
        },
    ]

    static let readModel = [
        EventStoreContract(description: "a reader sees its own write in the read model") { store in
            let id = ComputeID.random()
            _ = try await store.commit(.request(id, name: "dev"))
            var row = try require(try await store.summary(id, in: .default), "requested")
            try require(row.state == .requested && row.version == 1 && row.createdAt == start, "requested")
            try require(row.metadata == ["k": .string("v")] && row.namespace == "default", "what was asked for")
            var state = try Compute.state(after: try await store.events(of: .compute(id)))
            let place = Placement(
                member: MemberName("m1"), generation: .first, sidekick: .tcp(host: "::1", port: 1),
                sidekickInternal: .unix(path: "/s"), portHost: "::1")
            let later = start + .seconds(1)
            for command in [Compute.Command.start(place, at: later), .end(.lost)] {
                let commit = Commit.compute(
                    id, in: .default, expectedVersion: row.version, before: state,
                    events: try Compute.decide(command, state), metadata: .system, at: later)
                try require(try await store.commit(commit).isCommitted, "\(command)")
                let events = try await store.events(of: .compute(id))
                state = try Compute.state(after: events)
                row = try require(try await store.summary(id, in: nil), "row")
                var folded: ComputeSummary?
                for event in events { folded = try ComputeSummary.applying(event, to: folded) }
                try require(row == folded, "the row is the fold of the events")
                let named = try await store.named("dev", namespace: "default", in: .default)
                let due = try await store.living(expiringBefore: later + .seconds(61), limit: 10)
                let alive = row.state == .running
                try require(named == (alive ? row : nil), "only the living have a name")
                try require(due == (alive ? [row] : []), "only the living expire")
                try require(try await store.unended(after: nil, limit: 10) == (alive ? [row] : []), "unended")
                try require(try await store.living(expiringBefore: later + .seconds(60), limit: 10).isEmpty, "not due")
            }
            try require(row.endReason == .lost && row.member == place.member && row.sidekick == nil, "ended")
            try require(try await store.counter(.computes(in: .default)) == 0, "the living are counted")
            try require(try await store.commit(.request(.random(), name: "dev")).isCommitted, "the name is free")
        },
        EventStoreContract(description: "groups do not see each other") { store in
            let (mine, theirs) = (ComputeID.random(), ComputeID.random())
            try require(try await store.commit(.request(mine, name: "x", limit: 1)).isCommitted, "mine")
            try require(try await store.commit(.request(theirs, name: "x", in: other, limit: 1)).isCommitted, "theirs")
            try require(try await store.summary(theirs, in: .default) == nil, "by id")
            try require(try await store.named("x", namespace: "default", in: .default)?.id == mine, "by name")
            let page = try await store.summaries(in: other, matching: SummaryFilter(), after: nil, limit: 10)
            try require(page.summaries.map(\.id) == [theirs], "lists")
            try require(try await store.unended(after: nil, limit: 10).count == 2, "the sweep sees all")
            var stolen = Commit.request(mine)
            stolen.appends[0].group = other
            stolen.appends[0].expectedVersion = 1
            stolen.appends[0].events = [ComputeEvent.ended(.deleted).recorded]
            do {
                _ = try await store.commit(stolen)
                throw ContractViolation(description: "another group appended to the stream")
            } catch let error as EventStoreError { try require(error.code == .corrupt, "\(error)") }
            try require(try await store.summary(mine, in: .default)?.version == 1, "nothing changed")
        },
        EventStoreContract(description: "summaries are paged newest first, filtered or not") { store in
            var made: [ComputeID] = []
            for n in 0..<12 {
                let id = ComputeID.random()
                // Three share each moment: ids decide among them.
                _ = try await store.commit(.request(id, at: start + .seconds(n / 3)))
                if n % 2 == 0 {
                    _ = try await store.commit(
                        .compute(
                            id, in: .default, expectedVersion: 1, before: .requested(ComputeSpec(timeout: .zero)),
                            events: [.ended(.deleted)], metadata: .system, at: start))
                }
                made.append(id)
            }
            for states in [nil, [.ended], [.requested], [.requested, .ended], [.running], []]
                as [Set<ComputeSummary.State>?]
            {
                let filter = SummaryFilter(states: states)
                let whole = try await store.summaries(in: .default, matching: filter, after: nil, limit: 1000)
                try require(whole.next == nil, "one page")
                let expected = states.map { ($0.contains(.ended) ? 6 : 0) + ($0.contains(.requested) ? 6 : 0) } ?? 12
                try require(whole.summaries.count == expected, "\(String(describing: states))")
                let keys = whole.summaries.map { ($0.createdAt, $0.id) }
                try require(zip(keys, keys.dropFirst()).allSatisfy { $1 < $0 }, "order")
                for limit in [1, 5, 6, 12] {
                    var (pages, cursor) = ([ComputeSummary](), Cursor?.none)
                    repeat {
                        let page = try await store.summaries(
                            in: .default, matching: filter, after: cursor, limit: limit)
                        try require(page.summaries.count <= limit, "limit")
                        pages += page.summaries
                        cursor = page.next
                    } while cursor != nil
                    try require(pages == whole.summaries, "limit \(limit)")
                }
            }
            do {
                let cursor = try await store.drain(limit: 1).next
                _ = try await store.summaries(in: .default, matching: SummaryFilter(), after: cursor, limit: 1)
                throw ContractViolation(description: "a cursor of the log is taken for one of the list")
            } catch let error as EventStoreError { try require(error.code == .badCursor, "\(error)") }
        },
    ]

    static let races = [
        EventStoreContract(description: "a hundred racing commits never exceed the limit") { store in
            let outcomes = try await race(100) { _ in try await store.commit(.request(.random(), limit: 10)) }
            try require(outcomes.count(where: \.isCommitted) == 10, "committed")
            try require(outcomes.count { $0 == .overLimit(.computes(in: .default), limit: 10) } == 90, "refused")
            try require(try await store.counter(.computes(in: .default)) == 10, "counted")
            try require(try await store.unended(after: nil, limit: 1000).count == 10, "made")
        },
        EventStoreContract(description: "a hundred racing requests for a name give one compute") { store in
            let outcomes = try await race(100) { _ in try await store.commit(.request(.random(), name: "dev")) }
            try require(outcomes.count(where: \.isCommitted) == 1, "one")
            let winner = try require(try await store.named("dev", namespace: "default", in: .default), "winner")
            let hold = UniqueHold(
                key: .name("dev", namespace: "default", in: .default), owner: winner.id.rawValue)
            try require(outcomes.count { $0 == .taken(hold) } == 99, "all others learn who won")
        },
        EventStoreContract(description: "a reader beside racing writers skips and repeats nothing") { store in
            let writers = 20
            async let written: [Void] = race(writers) { writer in
                for version in 0..<5 { _ = try await store.commit(.notes("w\(writer)", from: version)) }
            }
            let deadline = ContinuousClock.now + .seconds(30)
            var (seen, cursor) = ([RecordedEvent](), Cursor?.none)
            while seen.count < writers * 5, ContinuousClock.now < deadline {
                await store.waitForEvents(after: cursor, timeout: .seconds(5))
                let more = try await store.drain(after: cursor, limit: 7)
                seen += more.events
                cursor = more.next
            }
            _ = try await written
            try require(seen == (try await store.drain(limit: 1000).events), "what was read is the log")
            try require(seen.count == writers * 5, "all of it")
        },
    ]
}

func race<T: Sendable>(_ count: Int, _ run: @escaping @Sendable (Int) async throws -> T) async throws -> [T] {
    try await withThrowingTaskGroup(of: T.self) { group in
        for n in 0..<count { group.addTask { try await run(n) } }
        return try await group.reduce(into: []) { $0.append($1) }
    }
}
