import ComputeCore
import EventSourcing
import Foundation
import Glibc
import Logging
import PostgresClient
import SQLStore
import TestSupport

/// Commits of one event each, from several writers at once, beside pgbench with the statements of such a commit and as
/// many clients, in turn, on one server that waits for its disk.
///
/// The store has its usual pool, so of many writers some wait for a connection, where pgbench has one for each client.
@main
struct StoreBenchmark {
    private static let database = "bench"
    /// Of each, in turn; the middle one counts, because neighbours of this machine come and go.
    private static let rounds = 3

    static func main() async throws {
        try await measure(seconds: CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 5)
    }

    private static func measure(seconds: Int) async throws {
        try await PostgresServer.with(["fsync=on", "shared_buffers=128MB"]) { server in
            try await server.run("CREATE DATABASE \(database)")
            let store = try await PostgresEventStore.open(
                server.configuration(database: database), now: SystemWallClock().now(),
                logger: Logger(label: "store-bench") { _ in SwiftLogNoOpLogHandler() })
            defer { store.close() }
            let pgbench = try PgBench(server: server, database: database)
            print("writers    store/s  pgbench/s  ratio    (\(rounds) rounds of \(seconds) s each, the middle one)")
            // Line by line, also into a pipe: it takes a while.
            fflush(nil)
            for writers in [1, 8, 32] {
                var pairs: [(ours: Double, theirs: Double)] = []
                for _ in 0..<rounds {
                    let ours = try await commits(to: store, writers: writers, for: .seconds(seconds))
                    pairs.append((ours, try await pgbench.transactions(clients: writers, seconds: seconds)))
                }
                let middle = pairs.sorted { $0.ours / $0.theirs < $1.ours / $1.theirs }[rounds / 2]
                print(
                    String(
                        format: "%7d %10.0f %10.0f %6.2f", writers, middle.ours, middle.theirs,
                        middle.ours / middle.theirs))
                fflush(nil)
            }
        }
    }

    /// - Returns: how many a second.
    private static func commits(to store: PostgresEventStore, writers: Int, for time: Duration) async throws -> Double {
        let start = ContinuousClock.now
        let done = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<writers {
                group.addTask {
                    var done = 0
                    while ContinuousClock.now - start < time {
                        guard case .committed = try await store.commit(note()) else {
                            throw BenchmarkFailure(description: "a new stream was there already")
                        }
                        done += 1
                    }
                    return done
                }
            }
            return try await group.reduce(0, +)
        }
        return Double(done) / ((ContinuousClock.now - start) / .seconds(1))
    }

    private static func note() -> Commit {
        Commit(
            appends: [
                StreamAppend(
                    stream: StreamID(category: "note", id: UUID().uuidString), group: .default, expectedVersion: 0,
                    events: [NewEvent(type: "Noted", data: .object(["n": .int(0)]))])
            ], metadata: .system, occurredAt: SystemWallClock().now())
    }
}
