import ComputeCore
import ComputeDomain
import EventSourcing
import Logging
import PostgresClient
import SQLStore
import TestSupport
import Testing

let moment = WallTime(milliseconds: 1_800_000_000_000)
let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// What an instance that must be alone locks.
private let claimLock: Int64 = 0x6373_646c

func withPostgresStore(
    _ configuration: PostgresConfiguration, longestLook: Duration = .seconds(1),
    _ run: (PostgresEventStore) async throws -> Void
) async throws {
    let store = try await PostgresEventStore.open(
        configuration, longestLook: longestLook, now: moment, logger: silent)
    defer { store.close() }
    try await run(store)
}

func note(_ id: String, from version: Int = 0) -> Commit {
    Commit(
        appends: [
            StreamAppend(
                stream: StreamID(category: "note", id: id), group: .default, expectedVersion: version,
                events: [NewEvent(type: "Noted", data: .object(["n": .int(Int64(version))]))])
        ], metadata: .system, occurredAt: moment)
}

// Length: all of them are about one store, and share its server, its commits and the transaction that stays open.
struct PostgresEventStoreTests {
    /// One after the other on a server of their own: what a transaction of one clause holds up would look late to another.
    @Test func keepsTheContract() async throws {
        try await PostgresServer.with { server in
            for clause in EventStoreContract.all {
                try await withPostgresStore(try await server.freshDatabase()) { store async throws in
                    do { try await clause.run(store) } catch { Issue.record("\(clause): \(error)") }
                }
            }
        }
    }

    @Test func aCommitThatIsLateIsReadBeforeWhatCameAfterIt() async throws {
        try await PostgresServer.with { server in
            let database = try await server.freshDatabase()
            try await withPostgresStore(database) { store async throws in
                #expect(try await store.commit(note("before")).isCommitted)
                let stalled = try await OpenTransaction.stalled(in: database)
                for n in 0..<5 { #expect(try await store.commit(note("after\(n)")).isCommitted) }
                let first = try await store.events(after: nil, matching: EventFilter(), limit: 100)
                #expect(first.events.map(\.stream.id) == ["before"])
                #expect(!first.hasMore)
                #expect(try await store.events(of: StreamID(category: "note", id: "after0")).count == 1)
                let reader = Task { await store.waitForEvents(after: first.next, timeout: .seconds(30)) }
                try await stalled.commit()
                let clock = ContinuousClock()
                let elapsed = await clock.measure { await reader.value }
                #expect(elapsed < .seconds(10), "whoever waits is woken when the way is free")
                let rest = try await store.events(after: first.next, matching: EventFilter(), limit: 100)
                #expect(rest.events.map(\.stream.id) == ["stalled"] + (0..<5).map { "after\($0)" })
            }
        }
    }

    @Test func aStalledTransactionThatRollsBackLeavesNoHole() async throws {
        try await PostgresServer.with { server in
            let database = try await server.freshDatabase()
            try await withPostgresStore(database) { store async throws in
                let stalled = try await OpenTransaction.stalled(in: database)
                #expect(try await store.commit(note("after")).isCommitted)
                #expect(try await store.events(after: nil, matching: EventFilter(), limit: 9).events.isEmpty)
                try await stalled.rollBack()
                #expect(
                    await eventually {
                        try await store.events(after: nil, matching: EventFilter(), limit: 9).events.count == 1
                    })
            }
        }
    }

    @Test func aReaderBesideWritersOfSeveralInstancesSkipsAndRepeatsNothing() async throws {
        try await PostgresServer.with { server in
            let database = try await server.freshDatabase()
            try await withPostgresStore(database) { one async throws in
                try await withPostgresStore(database) { two async throws in
                    let (writers, commits, stalls) = (12, 20, 6)
                    async let written: Void = withThrowingTaskGroup(of: Void.self) { group in
                        for writer in 0..<writers {
                            let store = writer % 2 == 0 ? one : two
                            group.addTask {
                                for version in 0..<commits {
                                    _ = try await store.commit(note("w\(writer)", from: version))
                                }
                            }
                        }
                        // Meanwhile some stall, and end either way.
                        for stall in 0..<stalls {
                            group.addTask {
                                let stalled = try await OpenTransaction.stalled(
                                    in: database, stream: "note-stalled\(stall)")
                                try await Task.sleep(for: .milliseconds(Int.random(in: 0...200)))
                                try await (stall % 2 == 0 ? stalled.commit() : stalled.rollBack())
                            }
                        }
                        try await group.waitForAll()
                    }
                    let expected = writers * commits + stalls / 2
                    let deadline = ContinuousClock.now + .seconds(60)
                    var (seen, cursor) = ([RecordedEvent](), Cursor?.none)
                    while seen.count < expected, ContinuousClock.now < deadline {
                        await two.waitForEvents(after: cursor, timeout: .seconds(5))
                        let page = try await two.events(after: cursor, matching: EventFilter(), limit: 7)
                        seen += page.events
                        cursor = page.next
                    }
                    try await written
                    #expect(seen.count == expected)
                    #expect(Set(seen.map(\.position)).count == expected)
                    let whole = try await one.events(after: nil, matching: EventFilter(), limit: 1000).events
                    #expect(seen == whole, "what was read beside the writers is the log")
                }
            }
        }
    }

    /// They are single statements; those of two events are transactions, and take their positions otherwise.
    @Test func loneEventsBesideOtherCommitsLoseNoRaceAndShareNoPosition() async throws {
        try await PostgresServer.with { server in
            let database = try await server.freshDatabase()
            try await withPostgresStore(database) { one async throws in
                try await withPostgresStore(database) { other async throws in
                    let stores = [one, other]
                    // All write the same stream: whoever is told that he was first wrote the version that he meant.
                    let winners = try await withThrowingTaskGroup(of: [Int].self) { group in
                        for writer in 0..<8 {
                            group.addTask {
                                var (version, won) = (0, [Int]())
                                while version < 60 {
                                    var commit = note("raced", from: version)
                                    if writer % 2 == 1 { commit.appends[0].events += commit.appends[0].events }
                                    if case .committed(let events) = try await stores[writer % 2].commit(commit) {
                                        won += events.map(\.version)
                                    }
                                    version = try await stores[writer % 2].version(of: commit.appends[0].stream)
                                }
                                return won
                            }
                        }
                        return try await group.reduce(into: []) { $0 += $1 }
                    }
                    let stream = StreamID(category: "note", id: "raced")
                    let events = try await one.events(of: stream)
                    #expect(events.map(\.version) == Array(1...events.count))
                    #expect(winners.sorted() == events.map(\.version), "each has one winner, who was told so")
                    #expect(Set(events.map(\.position)).count == events.count)
                    let isComplete = await eventually {
                        try await one.events(after: nil, matching: EventFilter(), limit: 1000).events.count
                            == events.count
                    }
                    #expect(isComplete)
                    let log = try await other.events(after: nil, matching: EventFilter(), limit: 1000).events
                    #expect(log.map(\.version) == events.map(\.version), "the log keeps the order of a stream")
                }
            }
        }
    }

    @Test func aCommitIsNotifiedToWhoeverListens() async throws {
        try await PostgresServer.with { server in
            let database = try await server.freshDatabase()
            try await withPostgresStore(database) { store async throws in
                var patient = database
                patient.connections = 1
                patient.deadline = .seconds(60)
                let pool = PostgresPool(patient, logger: silent)
                pool.start()
                defer { pool.close() }
                try await pool.run { try $0.run(script: "LISTEN computesdk_events", until: $1) }
                let heard = Task {
                    try await pool.run { connection, _ in
                        try connection.waitForNotification(orInputOn: -1, timeout: .seconds(50))
                    }
                }
                _ = try await store.commit(note("a"))
                let clock = ContinuousClock()
                let elapsed = try await clock.measure { try await heard.value }
                #expect(elapsed < .seconds(25))
            }
        }
    }

    @Test func aReaderOfAnotherInstanceIsWoken() async throws {
        try await PostgresServer.with { server in
            let database = try await server.freshDatabase()
            try await withPostgresStore(database) { writer in
                // Its own looks come too late to wake anybody.
                try await withPostgresStore(database, longestLook: .seconds(60)) { reader in
                    for n in 0..<5 {
                        let cursor = try await reader.events(after: nil, matching: EventFilter(), limit: 100).next
                        let waiting = Task { await reader.waitForEvents(after: cursor, timeout: .seconds(30)) }
                        _ = try await writer.commit(note("n\(n)"))
                        let clock = ContinuousClock()
                        #expect(await clock.measure { await waiting.value } < .seconds(10))
                        #expect(
                            try await reader.events(after: cursor, matching: EventFilter(), limit: 9).events.count == 1)
                    }
                }
            }
        }
    }

    @Test func severalStartsAtOnceMigrateOnce() async throws {
        try await PostgresServer.with { server in
            let database = try await server.freshDatabase()
            let steps = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<4 {
                    group.addTask { try await PostgresEventStore.migrate(database, now: moment, logger: silent) }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(steps.sorted() == [0, 0, 0, 15])
            try await withPostgresStore(database) { store async throws in
                #expect(try await store.commit(note("a")).isCommitted)
            }
        }
    }

    @Test func aStartThatMayNotMigrateSaysWhatToDo() async throws {
        try await PostgresServer.with { server in
            let database = try await server.freshDatabase()
            let error = await #expect(throws: EventStoreError.self) {
                _ = try await PostgresEventStore.open(database, migrates: false, now: moment, logger: silent)
            }
            #expect(error?.message.contains("api migrate") == true)
            _ = try await PostgresEventStore.migrate(database, now: moment, logger: silent)
            try await PostgresEventStore.open(database, migrates: false, now: moment, logger: silent).close()
        }
    }

    @Test(arguments: [
        ("INSERT INTO schema_migrations VALUES (999, 'future', 'x', 0)", "newer version"),
        ("UPDATE schema_migrations SET checksum = 'x'", "schema step 1"),
        ("DROP TABLE schema_migrations", "another program"),
    ])
    func aDatabaseThatIsNotOfThisVersionIsRefused(_ sql: String, _ words: String) async throws {
        try await PostgresServer.with { server in
            let database = try await server.freshDatabase()
            _ = try await PostgresEventStore.migrate(database, now: moment, logger: silent)
            try await server.run(sql, in: database)
            let error = await #expect(throws: EventStoreError.self) {
                _ = try await PostgresEventStore.open(database, now: moment, logger: silent)
            }
            #expect(error?.code == .corrupt)
            #expect(error?.message.contains(words) == true, "\(String(describing: error))")
        }
    }

    @Test func anInstanceThatMustBeAloneRefusesAnotherUntilItIsGone() async throws {
        try await PostgresServer.with { server in
            var database = try await server.freshDatabase()
            let first = try await PostgresEventStore.open(database, isAlone: true, now: moment, logger: silent)
            try await withPostgresStore(database) { _ = try await $0.commit(note("others may")) }
            database.deadline = .seconds(4)
            let error = await #expect(throws: EventStoreError.self) {
                _ = try await PostgresEventStore.open(database, isAlone: true, now: moment, logger: silent)
            }
            #expect(error?.message.contains("another instance") == true)
            first.close()
            database.deadline = .seconds(20)
            try await PostgresEventStore.open(database, isAlone: true, now: moment, logger: silent).close()
        }
    }

    /// Asks for the lock and has it as soon as the process of the server that holds it was ended.
    private func takeOver(_ database: PostgresConfiguration) async throws -> PostgresPool {
        var alone = database
        alone.connections = 1
        alone.deadline = .seconds(60)
        let pool = PostgresPool(alone, logger: silent)
        pool.start()
        let taken = Task {
            try await pool.run { try $0.run(script: "SELECT pg_advisory_lock(\(claimLock))", until: $1) }
        }
        try await withPostgresStore(database) { other in
            let isWaiting = await eventually {
                try await other.read { db in
                    try db.readRows(
                        sql: "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted", arguments: [:]
                    ) { try $0.integer("pid") }
                }.count == 1
            }
            #expect(isWaiting)
            try await endHolder(other)
        }
        try await taken.value
        return pool
    }

    private func endHolder(_ store: PostgresEventStore) async throws {
        _ = try await store.read { db in
            try db.readRows(
                sql: """
                    SELECT CAST(pg_terminate_backend(pid) AS INT) AS ended FROM pg_locks
                    WHERE locktype = 'advisory' AND granted AND objid = CAST(:lock AS OID)
                    """, arguments: ["lock": claimLock]
            ) { try $0.integer("ended") }
        }
    }

    @Test func anInstanceWhoseDatabaseAnotherTookWritesNothingMoreAndIsToldToEnd() async throws {
        try await PostgresServer.with { server in
            let database = try await server.freshDatabase()
            let first = try await PostgresEventStore.open(database, isAlone: true, now: moment, logger: silent)
            defer { first.close() }
            #expect(try await first.commit(note("before")).isCommitted)
            let end = Task { try await first.requireClaim() }
            let second = try await takeOver(database)
            defer { second.close() }
            let error = await #expect(throws: EventStoreError.self) { try await end.value }
            #expect(error?.code == .unavailable)
            let commit = await #expect(throws: EventStoreError.self) { try await first.commit(note("after")) }
            #expect(commit?.message.contains("another instance") == true)
            await #expect(throws: EventStoreError.self) {
                _ = try await first.events(of: StreamID(category: "note", id: "before"))
            }
            await #expect(throws: EventStoreError.self) { try await first.noteUses([.random(): moment]) }
        }
    }

    @Test func anInstanceThatLostOnlyItsConnectionHasItsDatabaseAgain() async throws {
        try await PostgresServer.with { server in
            let database = try await server.freshDatabase()
            let store = try await PostgresEventStore.open(database, isAlone: true, now: moment, logger: silent)
            defer { store.close() }
            try await endHolder(store)
            #expect(await eventually { try await store.commit(note("a")).isCommitted })
            #expect(try await store.events(of: StreamID(category: "note", id: "a")).count == 1)
        }
    }

    private func session(_ id: SessionID, _ event: SessionTokenEvent, after version: Int = 0) -> Commit {
        Commit(
            appends: [
                StreamAppend(
                    stream: .session(id), group: .default, expectedVersion: version, events: [event.recorded])
            ], metadata: .system, occurredAt: moment)
    }

    @Test func theUsesOfManySessionsAreNotedAtOnce() async throws {
        try await PostgresServer.with { server in
            try await withPostgresStore(try await server.freshDatabase()) { store async throws in
                let grant = SessionGrant(
                    computeID: .random(), description: nil, createdAt: moment, lifetime: .seconds(600))
                let ids = (0..<5).map { _ in SessionID.random() }
                for id in ids { #expect(try await store.commit(session(id, .created(grant))).isCommitted) }
                try await store.noteUses(Dictionary(uniqueKeysWithValues: ids.map { ($0, moment + .seconds(5)) }))
                let transactions = try await store.read { db in
                    try db.readRows(
                        sql: """
                            SELECT count(DISTINCT CAST(xmin AS TEXT)) AS count FROM session_summaries
                            WHERE last_used_at IS NOT NULL
                            """, arguments: [:]
                    ) { try $0.integer("count") }
                }
                #expect(transactions == [1])
                for id in ids { #expect(try await store.session(id)?.lastUsedAt == moment + .seconds(5)) }
            }
        }
    }

    @Test func aRevocationKeepsAUseThatIsNotedMeanwhile() async throws {
        try await PostgresServer.with { server in
            let database = try await server.freshDatabase()
            try await withPostgresStore(database) { store async throws in
                let (id, used) = (SessionID.random(), moment + .seconds(5))
                let grant = SessionGrant(
                    computeID: .random(), description: nil, createdAt: moment, lifetime: .seconds(600))
                #expect(try await store.commit(session(id, .created(grant))).isCommitted)
                let noting = try await OpenTransaction.begin(
                    in: database,
                    "UPDATE session_summaries SET last_used_at = \(used.milliseconds) WHERE session_id = '\(id)'")
                let revocation = session(id, .revoked(grant.computeID, expiresAt: grant.expiresAt), after: 1)
                let revoking = Task { try await store.commit(revocation) }
                // It has read the row by then, and wants to write it.
                let isWaiting = await eventually {
                    try await store.read { db in
                        try db.readRows(
                            sql: "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'", arguments: [:]
                        ) { try $0.integer("pid") }
                    }.count == 1
                }
                #expect(isWaiting)
                try await noting.commit()
                #expect(try await revoking.value.isCommitted)
                let row = try await store.session(id)
                #expect(row?.revokedAt != nil && row?.lastUsedAt == used)
            }
        }
    }

    @Test func aLogThatWasRestoredOnAnotherServerIsRefused() async throws {
        try await PostgresServer.with { server in
            let database = try await server.freshDatabase()
            try await withPostgresStore(database) { _ = try await $0.commit(note("a")) }
            try await server.run("UPDATE events SET transaction_id = '1000000000'", in: database)
            let error = await #expect(throws: EventStoreError.self) {
                _ = try await PostgresEventStore.open(database, now: moment, logger: silent)
            }
            #expect(error?.code == .corrupt)
        }
    }

    @Test func aCommitGoesThroughAlthoughItsCallerWasCancelled() async throws {
        try await PostgresServer.with { server in
            try await withPostgresStore(try await server.freshDatabase()) { store async throws in
                let task = Task { try await store.commit(note("a")) }
                task.cancel()
                #expect(try await task.value.isCommitted)
            }
        }
    }

    @Test func aClosedStoreIsUnavailable() async throws {
        try await PostgresServer.with { server in
            try await withPostgresStore(try await server.freshDatabase()) { store async throws in
                store.close()
                let error = await #expect(throws: EventStoreError.self) { try await store.commit(note("a")) }
                #expect(error?.code == .unavailable)
            }
        }
    }

    @Test func bothDatabasesHaveTheSameTablesAndColumns() async throws {
        try await PostgresServer.with { server in
            let database = try await server.freshDatabase()
            try await withPostgresStore(database) { postgres in
                let columns = try await postgres.read { db in
                    try db.readRows(
                        sql: """
                            SELECT table_name || '.' || column_name AS name FROM information_schema.columns
                            WHERE table_schema = current_schema() ORDER BY 1
                            """, arguments: [:]
                    ) { try $0.text("name") ?? "" }
                }
                let theirs = try await sqliteColumns()
                #expect(columns.filter { $0 != "events.transaction_id" } == theirs)
            }
        }
    }
}

/// A transaction that has done one thing and does nothing more for the moment.
private final class OpenTransaction: Sendable {
    private let pool: PostgresPool

    private init(_ pool: PostgresPool) { self.pool = pool }

    static func begin(in database: PostgresConfiguration, _ statement: String) async throws -> OpenTransaction {
        var alone = database
        alone.connections = 1
        alone.deadline = .seconds(60)
        let pool = PostgresPool(alone, logger: silent)
        pool.start()
        try await pool.run { connection, deadline in
            try connection.run(script: "BEGIN", until: deadline)
            try connection.run(script: statement, until: deadline)
        }
        return OpenTransaction(pool)
    }

    /// One that has inserted an event.
    static func stalled(in database: PostgresConfiguration, stream: String = "note-stalled")
        async throws -> OpenTransaction
    {
        try await begin(
            in: database,
            """
            INSERT INTO events (stream_id, version, group_id, type, data, metadata, occurred_at)
            VALUES ('\(stream)', 1, 'default', 'Noted', '{}', '{"actor":"system"}', 0)
            """)
    }

    func commit() async throws { try await end("COMMIT") }
    func rollBack() async throws { try await end("ROLLBACK") }

    private func end(_ sql: String) async throws {
        try await pool.run { try $0.run(script: sql, until: $1) }
        pool.close()
    }
}
