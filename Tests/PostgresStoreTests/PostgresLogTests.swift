import ComputeCore
import ComputeDomain
import EventSourcing
import SQLStore
import Synchronization
import TestSupport
import Testing

/// The log as a whole, in PostgreSQL.
struct PostgresLogTests {
    private func summaries(_ store: PostgresEventStore) async throws -> [String] {
        try await store.read { db in
            try db.readRows(
                sql: """
                    SELECT CAST(compute_summaries AS TEXT) AS line FROM compute_summaries
                    UNION ALL SELECT CAST(compute_labels AS TEXT) FROM compute_labels
                    UNION ALL SELECT CAST(session_summaries AS TEXT) FROM session_summaries
                    UNION ALL SELECT CAST(webhooks AS TEXT) FROM webhooks
                    UNION ALL SELECT CAST(secret_summaries AS TEXT) FROM secret_summaries
                    UNION ALL SELECT CAST(filesystem_summaries AS TEXT) FROM filesystem_summaries
                    UNION ALL SELECT CAST(template_summaries AS TEXT) FROM template_summaries
                    UNION ALL SELECT CAST(template_revisions AS TEXT) FROM template_revisions
                    UNION ALL SELECT CAST(pool_summaries AS TEXT) FROM pool_summaries ORDER BY 1
                    """, arguments: [:]
            ) { try $0.text("line") ?? "" }
        }
    }

    @Test func aRebuildGivesWhatWasThereBesideInstancesThatCommit() async throws {
        try await PostgresServer.with { server in
            let database = try await server.freshDatabase()
            try await withPostgresStore(database) { store async throws in
                try await BusyLog.fill(store)
                let before = try await summaries(store)
                #expect(before.count > 30)
                try await server.run(
                    """
                    UPDATE compute_summaries SET state = 'ended'; DELETE FROM webhooks;
                    UPDATE secret_summaries SET version = 99; UPDATE filesystem_summaries SET attachments = '[]';
                    UPDATE template_summaries SET revision = 1; DELETE FROM template_revisions WHERE revision > 1;
                    DELETE FROM pool_summaries
                    """, in: database)
                async let written: Void = withThrowingTaskGroup(of: Void.self) { group in
                    for n in 0..<20 { group.addTask { _ = try await store.commit(note("n\(n)")) } }
                    try await group.waitForAll()
                }
                let count = try await PostgresEventStore.rebuild(database, now: moment, logger: silent)
                try await written
                #expect(try await summaries(store) == before)
                let isReadable = await eventually {
                    let all = try await store.events(after: nil, matching: EventFilter(), limit: 1000).events
                    return (all.count - 20...all.count).contains(count) && all.count > 100
                }
                #expect(isReadable)
            }
        }
    }

    @Test func whatIsOverLeavesTheLogWhole() async throws {
        try await PostgresServer.with { server in
            try await withPostgresStore(try await server.freshDatabase()) { store async throws in
                let end = try await BusyLog.fill(store)
                let archived = Mutex(0)
                let outcome = try await store.retain(since: end, now: end) { events in
                    archived.withLock { $0 += events.count }
                }
                #expect(outcome.events > 0 && archived.withLock { $0 } == outcome.events)
                let before = try await summaries(store)
                #expect(before.contains { $0.contains("ended") } == false)
            }
        }
    }
}
