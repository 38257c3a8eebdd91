import ComputeCore
import ComputeDomain
import EventSourcing
import Foundation
import SQLStore
import Synchronization
import TestSupport
import Testing

private let now = WallTime(milliseconds: 1_800_000_000_000)

/// Every row of the read models, as text.
func readModels(_ store: some SQLEventStore) async throws -> [String] {
    var all: [String] = []
    for (table, columns) in [
        (
            "compute_summaries",
            "compute_id group_id name namespace metadata directory timeout_ms state created_at started_at expires_at ended_at end_reason generation member sidekick sidekick_internal port_host filesystems cpu_thousandths memory_mib metered_since template_id template_revision network ports version"
        ),
        ("compute_labels", "compute_id key value created_at group_id"),
        (
            "session_summaries",
            "session_id compute_id group_id description magic_link_id created_at expires_at revoked_at last_used_at version"
        ),
        ("access_records", "kind id group_id owner created_at expires_at last_used_at body"),
        (
            "webhooks",
            "webhook_id group_id origin types description is_active disabled_reason secret_version previous_secret_until created_at updated_at version"
        ),
        ("secret_summaries", "group_id name version created_at updated_at"),
        (
            "filesystem_summaries",
            "filesystem_id group_id name size_mib attachments was_attached created_at updated_at version"
        ),
        ("template_summaries", "template_id group_id name revision created_at version"),
        ("template_revisions", "template_id revision group_id name description defaults created_at"),
        (
            "pool_summaries",
            "pool_id group_id name template_id template_revision minimum maximum revision created_at updated_at version"
        ),
        ("usage_days", "group_id day compute_ms cpu_ms memory_ms"),
    ] {
        let names = columns.split(separator: " ").map(String.init)
        let casts = names.map { "CAST(\($0) AS TEXT) AS \($0)" }.joined(separator: ", ")
        all += try await store.read { db in
            try db.readRows(sql: "SELECT \(casts) FROM \(table) ORDER BY 1, 2", arguments: [:]) { row in
                table + " " + (try names.map { "\($0)=\(try row.text($0) ?? "NULL")" }.joined(separator: " "))
            }
        }
    }
    return all
}

struct RebuildTests {
    private func withStore(_ run: (SQLiteEventStore, String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "sqlstore-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let store = try await SQLiteEventStore.open(at: folder + "/db", now: now)
        try await run(store, folder + "/db")
        try await store.close()
    }

    private func usage(_ store: SQLiteEventStore, at now: WallTime) async throws -> [UsageByDay] {
        let day = UsageDay(now)
        var all: [UsageByDay] = []
        for group in [GroupID.default, GroupID("other")] {
            all.append(
                try await store.usage(of: group, from: day.advanced(by: -2), through: day.advanced(by: 2), at: now))
        }
        return all
    }

    @Test func aRebuildGivesWhatWasThere() async throws {
        try await withStore { store, _ in
            try await BusyLog.fill(store)
            let session = try await store.read { db in
                try db.readRows(
                    sql: "SELECT session_id FROM session_summaries WHERE revoked_at IS NULL ORDER BY 1", arguments: [:]
                ) { try $0.text("session_id") ?? "" }
            }.first
            try await store.noteUses([try #require(session.flatMap { SessionID($0) }): now])
            try await store.noteAccess([AccessRecord.ID(.key, "key-1"): now])
            let before = try await readModels(store)
            #expect(before.count > 30 && before.count { $0.contains("last_used_at=1800000000000") } == 2)
            #expect(before.count { $0.hasPrefix("compute_labels") } > 30)
            #expect(before.count { $0.hasPrefix("secret_summaries") } == 2)
            #expect(before.count { $0.hasPrefix("filesystem_summaries") } == 2)
            #expect(before.count { $0.hasPrefix("template_summaries") } == 2)
            #expect(before.count { $0.hasPrefix("template_revisions") } == 6)
            #expect(before.count { $0.hasPrefix("pool_summaries") } == 2)
            #expect(before.count { $0.hasPrefix("usage_days") } == 2, "of both groups")
            let events = try await store.events(after: nil, matching: EventFilter(), limit: 1000).events
            #expect(try await store.rebuild() == events.count)
            #expect(try await readModels(store) == before)
            #expect(try await store.events(after: nil, matching: EventFilter(), limit: 1000).events == events)
            let value = SecretValueRow.Key(group: .default, name: SecretName("kept")!, version: 2)
            #expect(try await store.secretValue(value) != nil, "which is in no event")
        }
    }

    @Test func aRebuildRepairsRowsThatAreWrong() async throws {
        try await withStore { store, path in
            try await BusyLog.fill(store)
            let before = try await readModels(store)
            try alter(
                path,
                """
                UPDATE compute_summaries SET state = 'ended', version = 99; DELETE FROM session_summaries;
                DELETE FROM access_records WHERE kind = 'key'; UPDATE compute_labels SET value = 'x';
                UPDATE webhooks SET origin = 'x'; UPDATE secret_summaries SET version = 99;
                UPDATE filesystem_summaries SET attachments = '[]'; UPDATE usage_days SET cpu_ms = 1;
                UPDATE compute_summaries SET metered_since = 1; UPDATE template_summaries SET name = 'x';
                UPDATE template_revisions SET defaults = '{}' WHERE revision = 3;
                DELETE FROM template_revisions WHERE revision = 1; UPDATE pool_summaries SET maximum = 9, name = 'x'
                """)
            #expect(try await readModels(store) != before)
            _ = try await store.rebuild()
            #expect(try await readModels(store) == before)
        }
    }

    @Test func aRebuildThatFailsChangesNothing() async throws {
        try await withStore { store, path in
            try await BusyLog.fill(store)
            let before = try await readModels(store)
            try alter(path, "UPDATE events SET data = '{' WHERE type = 'WebhookCreated'")
            let error = await #expect(throws: EventStoreError.self) { try await store.rebuild() }
            #expect(error?.code == .corrupt)
            #expect(try await readModels(store) == before)
        }
    }

    @Test func whatIsOverLeavesWholeAndTheRestStaysAsItWas() async throws {
        try await withStore { store, _ in
            let end = try await BusyLog.fill(store)
            let all = try await store.events(after: nil, matching: EventFilter(), limit: 1000).events
            let archived = Mutex<[RecordedEvent]>([])
            let usage = try await usage(store, at: end)
            #expect(!usage.isEmpty)
            // The last few are too young.
            let since = end + .seconds(-300)
            let outcome = try await store.retain(since: since, now: end) { events in
                archived.withLock { $0 += events }
            }
            let moved = archived.withLock { $0 }
            let rest = try await store.events(after: nil, matching: EventFilter(), limit: 1000).events
            #expect(outcome.events == moved.count && !moved.isEmpty)
            #expect(rest.dropLast() == all.filter { !moved.contains($0) }[...])
            #expect(rest.last?.type == "LogRetained")
            #expect(Set(moved.map(\.stream)).isDisjoint(with: rest.map(\.stream)), "whole histories")
            #expect(!moved.contains { $0.stream.category == StreamID.secretCategory }, "versions go on from there")
            #expect(moved.allSatisfy { $0.occurredAt < since })
            for stream in Set(moved.map(\.stream)) where stream.category == StreamID.computeCategory {
                #expect(moved.contains { $0.stream == stream && $0.type == "ComputeEnded" })
            }
            let models = try await readModels(store)
            _ = try await store.rebuild()
            #expect(try await readModels(store) == models, "what is left gives the same")
            #expect(try await self.usage(store, at: end) == usage, "what was taken was taken")
            let again = try await store.retain(since: since, now: end) { _ in Issue.record("nothing is left to move") }
            #expect(again == RetentionOutcome())
        }
    }

    /// What went on or was over before usage was counted was counted too little, or not at all.
    @Test(arguments: [
        "DELETE FROM usage_days", "UPDATE usage_days SET compute_ms = 1, cpu_ms = 1, memory_ms = 1",
    ]) func historiesThatWereNeverCountedMakeNoDayLessThanNothing(_ before: String) async throws {
        try await withStore { store, path in
            let end = try await BusyLog.fill(store)
            let truth = try await usage(store, at: end)
            try alter(path, before + "; UPDATE compute_summaries SET cpu_thousandths = 0, memory_mib = 0")
            let outcome = try await store.retain(since: end + .seconds(-300), now: end) { _ in }
            #expect(outcome.events > 0)
            let negative = try await store.read { db in
                try db.readRows(
                    sql: """
                        SELECT day FROM usage_days WHERE compute_ms < 0 OR cpu_ms < 0 OR memory_ms < 0
                        """, arguments: [:]
                ) { try $0.text("day") }
            }
            #expect(negative.isEmpty)
            let kept = try await usage(store, at: end)
            for (days, all) in zip(kept, truth) {
                for (day, amount) in days {
                    #expect(amount.compute <= all[day]?.compute ?? 0, "never more than there was")
                }
            }
            #expect(kept.contains { $0.values.contains { $0.compute > 0 } }, "what left the log is counted by then")
            _ = try await store.rebuild()
            #expect(try await usage(store, at: end) == truth, "a rebuild counts the rest")
        }
    }

    @Test func anEventOfANewerShapeIsAnErrorAndNoGuess() async throws {
        try await withStore { store, path in
            try await BusyLog.fill(store, computes: 2)
            try alter(path, "UPDATE events SET schema_version = 2 WHERE type = 'ComputeRequested'")
            let error = await #expect(throws: EventStoreError.self) {
                try await store.events(after: nil, matching: EventFilter(), limit: 10)
            }
            #expect(error?.code == .corrupt)
        }
    }

    @Test func aLogThatIsOnlyReadMustBeThere() async throws {
        try await withStore { store, path in
            try await BusyLog.fill(store, computes: 2)
            let reader = try await SQLiteEventStore.open(at: path, migrates: false, now: now)
            #expect(try await reader.events(after: nil, matching: EventFilter(), limit: 1000).events.count > 2)
            try await reader.close()
            await #expect(throws: EventStoreError.self) {
                try await SQLiteEventStore.open(at: path + "-none", migrates: false, now: now)
            }
            #expect(!FileManager.default.fileExists(atPath: path + "-none"))
        }
    }
}
