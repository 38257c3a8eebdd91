import ComputeCore
import ComputeDomain
import EventSourcing
import Foundation
import SQLStore
import Synchronization
import TestSupport

/// What reading costs while the log grows, and how fast the read models are made anew from all of it.
struct Growth {
    var events: Int
    var seconds: Int

    /// Of one compute each: requested, started, extended, ended.
    private static let eventsOfACompute = 4
    private static let readers = 8

    func run() async throws {
        try await withFolder { folder in
            let store = try await SQLiteEventStore.open(at: "\(folder)/store.db", now: SystemWallClock().now())
            try await grow(store, "SQLite")
            try await rebuild("SQLite") { try await store.rebuild() }
            try await store.close()
        }
        try await PostgresServer.with(["fsync=on", "autovacuum=on", "shared_buffers=128MB"]) { server in
            let store = try await openStore(server, database: "growth")
            defer { store.close() }
            let pgbench = try PgBench(server: server, database: "growth")
            try await pgbench.prepareAccounts()
            try await grow(store, "PostgreSQL") {
                try await pgbench.rate(of: .selectOnly, clients: Self.readers, seconds: seconds)
            }
            try await rebuild("PostgreSQL") {
                try await PostgresEventStore.rebuild(
                    server.configuration(database: "growth"), now: SystemWallClock().now(), logger: silent)
            }
        }
    }

    /// - Parameter peer: what else reads one row by its key, asked beside the first of the readings.
    private func grow(
        _ store: some EventStore & ComputeSummaries, _ name: String, beside peer: (() async throws -> Double)? = nil
    ) async throws {
        say("Readings a second over \(name), \(Self.readers) readers")
        say("   events    a sandbox" + (peer == nil ? "" : "  pgbench -S  ratio") + "   first page   its events")
        let ids = Mutex<[ComputeID]>([])
        for size in [1_000, 30_000, events] where size <= events {
            while ids.withLock({ $0.count }) * Self.eventsOfACompute < size { try await add(to: store, ids) }
            let known = ids.withLock { $0 }
            let summary = try await rate(Self.readers, seconds: seconds) {
                guard try await store.summary(known.randomElement()!, in: .default) != nil else {
                    throw BenchmarkFailure(description: "a compute is not there")
                }
            }
            let select = try await peer?()
            let page = try await rate(Self.readers, seconds: seconds) {
                let page = try await store.summaries(in: .default, matching: SummaryFilter(), after: nil, limit: 20)
                guard page.summaries.count == 20 else { throw BenchmarkFailure(description: "the page is short") }
            }
            let own = try await rate(Self.readers, seconds: seconds) {
                let filter = EventFilter(group: .default, stream: .compute(known.randomElement()!))
                let page = try await store.events(after: nil, matching: filter, limit: 20)
                guard page.events.count == Self.eventsOfACompute else {
                    throw BenchmarkFailure(description: "events of a compute are missing")
                }
            }
            var line = String(format: "%9d %12.0f", size, summary)
            if let select { line += String(format: " %11.0f %6.2f", select, summary / select) }
            say(line + String(format: " %12.0f %12.0f", page, own))
        }
    }

    private func rebuild(_ name: String, _ run: () async throws -> Int) async throws {
        let start = ContinuousClock.now
        let count = try await run()
        let time = (ContinuousClock.now - start) / .seconds(1)
        say(String(format: "Rebuilt over \(name): %d events, %.0f a second", count, Double(count) / time))
    }

    /// Some computes with all their events, in one commit; every tenth one lives on.
    private func add(to store: some EventStore, _ ids: borrowing Mutex<[ComputeID]>) async throws {
        let at = SystemWallClock().now()
        let new = (0..<50).map { _ in ComputeID.random() }
        let spec = ComputeSpec(timeout: .seconds(900), metadata: ["team": .string("t")])
        let placement = Placement(
            member: .random(), generation: .first, sidekick: .tcp(host: "10.0.0.1", port: 1),
            sidekickInternal: .unix(path: "/s"), portHost: "10.0.0.1")
        let appends = new.enumerated().map { number, id in
            let last: ComputeEvent = number % 10 == 0 ? .extended(expiresAt: at) : .ended(.deleted)
            let events: [ComputeEvent] = [
                .requested(spec, at: at), .started(placement, expiresAt: at + .seconds(900)), .extended(expiresAt: at),
                last,
            ]
            return StreamAppend(
                stream: .compute(id), group: .default, expectedVersion: 0, events: events.map(\.recorded))
        }
        guard case .committed = try await store.commit(Commit(appends: appends, metadata: .system, occurredAt: at))
        else { throw BenchmarkFailure(description: "the log did not grow") }
        ids.withLock { $0 += new }
    }
}
