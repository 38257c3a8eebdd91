import ComputeCore
import EventSourcing
import Foundation
import Logging
import PostgresClient
import SQLStore
import TestSupport

/// Commits of one event each, from several writers at once.
private func noted() -> Commit {
    Commit(
        appends: [
            StreamAppend(
                stream: StreamID(category: "note", id: UUID().uuidString), group: .default, expectedVersion: 0,
                events: [NewEvent(type: "Noted", data: .object(["n": .int(0)]))])
        ], metadata: .system, occurredAt: SystemWallClock().now())
}

private func commit(_ store: some EventStore) async throws {
    guard case .committed = try await store.commit(noted()) else {
        throw BenchmarkFailure(description: "a new stream was there already")
    }
}

private let rounds = 3
private let writers = [1, 8, 32]

func openStore(_ server: PostgresServer, database: String) async throws -> PostgresEventStore {
    try await server.run("CREATE DATABASE \(database)")
    return try await PostgresEventStore.open(
        server.configuration(database: database), now: SystemWallClock().now(),
        logger: silent)
}

let silent = Logger(label: "store-bench") { _ in SwiftLogNoOpLogHandler() }

/// Beside pgbench with as many clients, in turn, on one server that waits for its disk.
///
/// The store has its usual pool, so of many writers some wait for a connection, where pgbench has one for each client.
struct PostgresCommits {
    var seconds: Int
    private let database = "commits"

    private struct Turn {
        var store: Double
        var insert: Double
        var readAndInsert: Double
    }

    func run() async throws {
        try await PostgresServer.with(["fsync=on", "shared_buffers=128MB"]) { server in
            let store = try await openStore(server, database: database)
            defer { store.close() }
            let pgbench = try PgBench(server: server, database: database)
            say("Commits of one event over PostgreSQL a second, and pgbench with the same rows")
            say("writers      store     insert  ratio   read and insert  ratio")
            for writers in writers {
                let turn = try await middle(of: rounds, by: { $0.store / $0.insert }) {
                    Turn(
                        store: try await rate(writers, seconds: seconds) { try await commit(store) },
                        insert: try await pgbench.rate(of: .insert, clients: writers, seconds: seconds),
                        readAndInsert: try await pgbench.rate(
                            of: .readAndInsert, clients: writers, seconds: seconds))
                }
                say(
                    String(
                        format: "%7d %10.0f %10.0f %6.2f %17.0f %6.2f", writers, turn.store, turn.insert,
                        turn.store / turn.insert, turn.readAndInsert, turn.store / turn.readAndInsert))
            }
        }
    }
}

/// Beside the library below the store, used as its manual says: a transaction for each row, on one connection that writes.
struct SQLiteCommits {
    var seconds: Int

    func run() async throws {
        try await withFolder { folder in
            let store = try await SQLiteEventStore.open(at: "\(folder)/store.db", now: SystemWallClock().now())
            // Its schema is the store's, made by one that is closed again.
            try await SQLiteEventStore.open(at: "\(folder)/raw.db", now: SystemWallClock().now()).close()
            let raw = try RawInserts(at: "\(folder)/raw.db")
            say("Commits of one event over SQLite a second, and GRDB inserting the same rows")
            say("writers      store       GRDB  ratio")
            for writers in writers {
                let turn = try await middle(of: rounds, by: { $0.store / $0.raw }) {
                    (
                        store: try await rate(writers, seconds: seconds) { try await commit(store) },
                        raw: try await rate(writers, seconds: seconds) { try await raw.insert() }
                    )
                }
                say(
                    String(format: "%7d %10.0f %10.0f %6.2f", writers, turn.store, turn.raw, turn.store / turn.raw))
            }
            try await store.close()
        }
    }
}
