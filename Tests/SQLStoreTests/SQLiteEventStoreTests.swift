import ComputeCore
import ComputeDomain
import EventSourcing
import Foundation
import SQLStore
import TestSupport
import Testing

private let now = WallTime(milliseconds: 1_800_000_000_000)

struct SQLiteEventStoreTests {
    private func withFolder(_ run: (String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "sqlstore-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await run(folder)
    }

    private func open(_ path: String) async throws -> SQLiteEventStore {
        try await SQLiteEventStore.open(at: path, now: now)
    }

    private func request(_ id: ComputeID = .random()) -> Commit {
        .compute(
            id, in: .default, expectedVersion: 0, before: .absent,
            events: [.requested(ComputeSpec(timeout: .seconds(60)), at: now)], metadata: .system, at: now)
    }

    @Test(arguments: EventStoreContract.all) func keepsTheContract(clause: EventStoreContract) async throws {
        try await withFolder { folder in
            let store = try await open(folder + "/db")
            try await clause.run(store)
            try await store.close()
        }
    }

    @Test func aNumberThatJSONCannotHoldIsRefusedAndNotStoredAsNothing() async throws {
        try await withFolder { folder in
            let store = try await open(folder + "/db")
            for number in [Double.nan, .infinity, -.infinity] {
                let data = JSONValue.object(["deep": .array([.object(["n": .double(number)])])])
                let stream = StreamID(category: "note", id: "n")
                let commit = Commit(
                    appends: [
                        StreamAppend(
                            stream: stream, group: .default, expectedVersion: 0,
                            events: [NewEvent(type: "Noted", data: data)])
                    ], metadata: .system, occurredAt: now)
                let error = await #expect(throws: EventStoreError.self) { try await store.commit(commit) }
                #expect(error?.code == .corrupt)
                #expect(try await store.version(of: stream) == 0)
            }
            try await store.close()
        }
    }

    @Test func theFilesAreForTheirOwnerOnly() async throws {
        try await withFolder { folder in
            let store = try await open(folder + "/db")
            _ = try await store.commit(request())
            for name in ["db", "db-wal", "db-shm"] {
                let mode = try FileManager.default.attributesOfItem(atPath: "\(folder)/\(name)")[.posixPermissions]
                #expect((mode as? NSNumber)?.intValue == 0o600, "\(name)")
            }
            try await store.close()
        }
    }

    @Test func everyAcknowledgedCommitSurvivesAnUncleanEnd() async throws {
        try await withFolder { folder in
            let store = try await open(folder + "/db")
            let ids = (0..<50).map { _ in ComputeID.random() }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for id in ids { group.addTask { _ = try await store.commit(request(id)) } }
                try await group.waitForAll()
            }
            // What a killed process leaves: the files as they are, with no farewell.
            for name in ["db", "db-wal"] {
                try FileManager.default.copyItem(atPath: "\(folder)/\(name)", toPath: "\(folder)/left-\(name)")
            }
            try FileManager.default.moveItem(atPath: folder + "/left-db", toPath: folder + "/left")
            try FileManager.default.moveItem(atPath: folder + "/left-db-wal", toPath: folder + "/left-wal")
            let found = try await open(folder + "/left")
            #expect(Set(try await found.unended(after: nil, limit: 100).map(\.id)) == Set(ids))
            #expect(try await found.events(after: nil, matching: EventFilter(), limit: 100).events.count == 50)
            #expect(try await found.counter(.computes(in: .default)) == 50)
            try await found.close()
            try await store.close()
        }
    }

    @Test func aReopenedStoreGoesOnWhereItWas() async throws {
        try await withFolder { folder in
            let first = try await open(folder + "/db")
            _ = try await first.commit(request())
            let cursor = try await first.events(after: nil, matching: EventFilter(), limit: 1).next
            try await first.close()
            let second = try await open(folder + "/db")
            let elapsed = await ContinuousClock().measure {
                await second.waitForEvents(after: nil, timeout: .seconds(30))
            }
            #expect(elapsed < .seconds(15))
            _ = try await second.commit(request())
            let page = try await second.events(after: cursor, matching: EventFilter(), limit: 10)
            #expect(page.events.count == 1)
            try await second.close()
        }
    }

    @Test func severalStartsAtOnceMigrateOnce() async throws {
        try await withFolder { folder in
            try await withThrowingTaskGroup(of: SQLiteEventStore.self) { group in
                for _ in 0..<4 { group.addTask { try await open(folder + "/db") } }
                for try await store in group { #expect(try await store.commit(request()).isCommitted) }
            }
        }
    }

    @Test func aKeyFromBeforeThereWereRecordsIsFoundAfterTheMigration() async throws {
        try await withFolder { folder in
            let store = try await open(folder + "/db")
            let grant = KeyGrant(id: "k1", label: "first", prefix: "csdk_1")
            var old = APIKeyEvent.created(grant).recorded
            old.data = .object(["keyID": .string("k1"), "label": .string("first"), "prefix": .string("csdk_1")])
            let stream = StreamID.apiKey("k1")
            _ = try await store.commit(
                Commit(
                    appends: [StreamAppend(stream: stream, group: .default, expectedVersion: 0, events: [old])],
                    privateRows: [.apiKey(hash: "h", keyID: "k1", in: .default)], metadata: .system,
                    occurredAt: WallTime(milliseconds: 1)))
            let made = try await store.chain(keyHash: "h")
            try await store.close()
            let tables = [
                "access_records", "snapshots", "webhooks", "webhook_deliveries", "consumers", "secret_summaries",
                "secret_values", "filesystem_summaries", "compute_labels", "usage_days", "usage_kept",
                "template_summaries", "template_revisions", "pool_summaries",
            ]
            try alter(
                folder + "/db",
                tables.map { "DROP TABLE \($0);" }.joined()
                    + "ALTER TABLE events DROP COLUMN schema_version;"
                    + ["due", "living", "called", "namespaced"].map { "DROP INDEX compute_summaries_\($0);" }.joined()
                    + [
                        "cpu_thousandths", "memory_mib", "metered_since", "template_id", "template_revision", "network",
                        "ports", "lifecycle",
                    ]
                    .map {
                        "ALTER TABLE compute_summaries DROP COLUMN \($0);"
                    }.joined()
                    + "DROP INDEX events_by_stream; ALTER TABLE counters DROP COLUMN own_limit;"
                    + "INSERT INTO counters (group_id, name, value) VALUES ('default', 'filesystem-mib', 640);"
                    + "CREATE INDEX compute_summaries_expiring ON compute_summaries (expires_at);"
                    + "ALTER TABLE compute_summaries DROP COLUMN filesystems; DELETE FROM schema_migrations WHERE number > 2"
            )
            let again = try await open(folder + "/db")
            #expect(try await again.chain(keyHash: "h") == made && made?.chain.count == 1)
            #expect(try made?.chain[0].key() == grant, "an owner's")
            let storage = Quota.storageMiB.counter(in: .default)
            #expect(try await again.counter(storage) == 640, "filesystems count for the quota")
            try await again.close()
        }
    }

    @Test func releasedStepsOfTheSchemaAreNeverEdited() async throws {
        try await withFolder { folder in
            let store = try await open(folder + "/db")
            let checksums = try await store.read { db in
                try db.readRows(sql: "SELECT checksum FROM schema_migrations ORDER BY number", arguments: [:]) {
                    try $0.text("checksum") ?? ""
                }
            }
            #expect(checksums.prefix(2) == ["6c73c725ac60cd7c", "d80ad626385f2343"])
            try await store.close()
        }
    }

    @Test func aDatabaseOfANewerVersionIsRefused() async throws {
        try await refuses(
            after: "INSERT INTO schema_migrations VALUES (999, 'future', 'x', 0)", saying: "newer version")
    }

    @Test func aDatabaseWithAnEditedMigrationIsRefused() async throws {
        try await refuses(after: "UPDATE schema_migrations SET checksum = 'x'", saying: "schema step 1")
    }

    private func refuses(after sql: String, saying words: String) async throws {
        try await withFolder { folder in
            try await open(folder + "/db").close()
            try alter(folder + "/db", sql)
            let error = await #expect(throws: EventStoreError.self) { try await open(folder + "/db") }
            #expect(error?.code == .corrupt)
            #expect(error?.message.contains(words) == true, "\(String(describing: error))")
        }
    }

    @Test func anotherProgramsDatabaseIsRefused() async throws {
        try await withFolder { folder in
            try alter(folder + "/db", "CREATE TABLE recipes (id INTEGER)")
            let error = await #expect(throws: EventStoreError.self) { try await open(folder + "/db") }
            #expect(error?.code == .corrupt)
        }
    }

    @Test func aFileThatIsNoDatabaseIsCorrupt() async throws {
        try await withFolder { folder in
            try Data(repeating: 0x41, count: 10_000).write(to: URL(fileURLWithPath: folder + "/db"))
            let error = await #expect(throws: EventStoreError.self) { try await open(folder + "/db") }
            #expect(error?.code == .corrupt)
        }
    }

    @Test func aPlaceThatCannotBeWrittenIsUnavailable() async throws {
        try await withFolder { folder in
            let error = await #expect(throws: EventStoreError.self) { try await open(folder + "/none/db") }
            #expect(error?.code == .unavailable)
        }
    }

    @Test func aDamagedRowIsCorruptAndNoTrap() async throws {
        try await withFolder { folder in
            let store = try await open(folder + "/db")
            let id = ComputeID.random()
            _ = try await store.commit(request(id))
            try await store.close()
            try alter(folder + "/db", "UPDATE events SET data = '{'; UPDATE compute_summaries SET state = 'flying'")
            let again = try await open(folder + "/db")
            let fromLog = await #expect(throws: EventStoreError.self) { try await again.events(of: .compute(id)) }
            let fromRow = await #expect(throws: EventStoreError.self) { try await again.summary(id, in: nil) }
            #expect(fromLog?.code == .corrupt && fromRow?.code == .corrupt)
            try await again.close()
        }
    }

    @Test func aClosedStoreIsUnavailable() async throws {
        try await withFolder { folder in
            let store = try await open(folder + "/db")
            try await store.close()
            let write = await #expect(throws: EventStoreError.self) { try await store.commit(request()) }
            let read = await #expect(throws: EventStoreError.self) { try await store.summary(.random(), in: nil) }
            #expect(write?.code == .unavailable && read?.code == .unavailable)
        }
    }

    @Test func aCommitGoesThroughAlthoughItsCallerWasCancelled() async throws {
        try await withFolder { folder in
            let store = try await open(folder + "/db")
            let id = ComputeID.random()
            let task = Task { try await store.commit(request(id)) }
            task.cancel()
            #expect(try await task.value.isCommitted)
            #expect(try await store.summary(id, in: nil) != nil)
            try await store.close()
        }
    }
}
