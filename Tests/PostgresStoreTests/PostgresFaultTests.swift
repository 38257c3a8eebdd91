import ComputeCore
import EventSourcing
import Foundation
import Glibc
import PostgresClient
import SQLStore
import Synchronization
import TestSupport
import Testing

struct PostgresFaultTests {
    /// Commits as fast as it can to one stream, and knows what was acknowledged. When the store does not answer, it looks
    /// how far the stream got, as the services do, and goes on from there.
    private func write(_ stream: String, to store: PostgresEventStore, until stop: Flag) async
        -> [Int]
    {
        var (acknowledged, version) = ([Int](), 0)
        while !stop.isSet {
            do {
                switch try await store.commit(note(stream, from: version)) {
                case .committed(let events):
                    version = events.last?.version ?? version
                    acknowledged.append(version)
                default: version = try await store.events(of: StreamID(category: "note", id: stream)).count
                }
            } catch {
                try? await Task.sleep(for: .milliseconds(20))
                version = (try? await store.events(of: StreamID(category: "note", id: stream)).count) ?? version
            }
        }
        return acknowledged
    }

    @Test func aKilledServerLosesNothingAndIsInUseAgainWithinSeconds() async throws {
        try await PostgresServer.with { server in
            let database = try await server.freshDatabase()
            try await withPostgresStore(database) { store async throws in
                let stop = Flag()
                let names = (0..<8).map { "w\($0)" }
                var acknowledged: [String: [Int]] = [:]
                try await withThrowingTaskGroup(of: (String, [Int]).self) { group in
                    for name in names { group.addTask { (name, await write(name, to: store, until: stop)) } }
                    // A machine that stands still makes one of them late, and not all.
                    var quickest = Duration.seconds(60)
                    for kill in 0..<3 {
                        let isUnderLoad = await eventually {
                            // Each of them: a connection that is slow to open keeps its writer behind the others.
                            for name in names {
                                let stream = StreamID(category: "note", id: name)
                                if try await store.events(of: stream).count < 6 * (kill + 1) { return false }
                            }
                            return true
                        }
                        #expect(isUnderLoad)
                        await server.kill()
                        let down = await #expect(throws: EventStoreError.self) {
                            while true { _ = try await store.counter(CounterName(group: .default, name: "n")) }
                        }
                        #expect(down?.code == .unavailable)
                        try await server.start()
                        let clock = ContinuousClock()
                        let back = await clock.measure {
                            #expect(
                                await eventually { try await store.commit(note("back\(kill)")).isCommitted })
                        }
                        quickest = min(quickest, back)
                    }
                    #expect(quickest < .seconds(5))
                    stop.set()
                    for try await (name, versions) in group { acknowledged[name] = versions }
                }
                for name in names {
                    let versions = try await store.events(of: StreamID(category: "note", id: name)).map(\.version)
                    #expect(versions == Array(1...max(versions.count, 1)), "none is missing, none is there twice")
                    let lost = Set(acknowledged[name] ?? []).subtracting(versions)
                    #expect(lost.isEmpty, "\(name)")
                    #expect(acknowledged[name]?.isEmpty == false)
                }
                let log = try await all(store)
                #expect(Set(log.map { "\($0.stream) \($0.version)" }).count == log.count, "the log has none twice")
                for name in names {
                    let inLog = log.filter { $0.stream.id == name }.map(\.version)
                    #expect(inLog == inLog.sorted(), "the log keeps the order of a stream")
                }
            }
        }
    }

    private func all(_ store: PostgresEventStore) async throws -> [RecordedEvent] {
        var (events, cursor) = ([RecordedEvent](), Cursor?.none)
        while true {
            let page = try await store.events(after: cursor, matching: EventFilter(), limit: 1000)
            events += page.events
            cursor = page.next
            if !page.hasMore { return events }
        }
    }

    /// Of one event, which is a statement, and of two, which are a transaction.
    @Test(arguments: [false, true], [1, 2])
    func aCommitWhoseAnswerIsLostIsFoundOutAfterTheCrash(_ isCancelled: Bool, events count: Int) async throws {
        try await PostgresServer.with { server in
            var database = try await server.freshDatabase()
            database.deadline = .seconds(20)
            try await withPostgresStore(database) { store in
                // Has taken positions for the next ones.
                #expect(try await store.commit(note("before")).isCommitted)
                // A standby that never comes: commits are on disk, and nobody is told.
                try await server.run("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
                try await server.run("SELECT pg_reload_conf()")
                let waiting = {
                    try await store.read { db in
                        try db.readRows(
                            sql: "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'", arguments: [:]
                        ) { try $0.integer("pid") }
                    }
                }
                let events = Array(repeating: note("a").appends[0].events[0], count: count)
                func begin(_ id: String) -> Task<CommitOutcome, any Error> {
                    Task {
                        var order = note(id)
                        order.appends[0].events = events
                        return try await store.commit(order)
                    }
                }
                // The server looks at its settings in its own time; what is committed until then goes through.
                var (number, commit) = (0, begin("a0"))
                let isWaiting = await eventually {
                    if try await !store.events(of: StreamID(category: "note", id: "a\(number)")).isEmpty {
                        number += 1
                        commit = begin("a\(number)")
                    }
                    return try await !waiting().isEmpty
                }
                #expect(isWaiting)
                if isCancelled { commit.cancel() }
                await server.kill()
                try await server.start(with: ["synchronous_standby_names="])
                guard case .committed(let committed) = try await commit.value else {
                    Issue.record("not committed")
                    return
                }
                #expect(committed.count == count)
                #expect(try await store.events(of: StreamID(category: "note", id: "a\(number)")) == committed)
            }
        }
    }

    @Test func aFrozenServerIsUnavailableWithinTheDeadlineAndThenGoesOn() async throws {
        try await PostgresServer.with { server in
            var database = try await server.freshDatabase()
            database.deadline = .seconds(4)
            try await withPostgresStore(database) { store async throws in
                #expect(try await store.commit(note("a")).isCommitted)
                server.signalAll(SIGSTOP)
                let clock = ContinuousClock()
                let elapsed = await clock.measure {
                    let write = await #expect(throws: EventStoreError.self) { try await store.commit(note("b")) }
                    let read = await #expect(throws: EventStoreError.self) {
                        _ = try await store.events(after: nil, matching: EventFilter(), limit: 9)
                    }
                    #expect(write?.code == .unavailable && read?.code == .unavailable)
                }
                server.signalAll(SIGCONT)
                #expect(elapsed < .seconds(30))
                #expect(await eventually { try await store.commit(note("c")).isCommitted })
            }
        }
    }

    @Test func aConnectionByURLIsEncryptedAndChecksWhomItTalksTo() async throws {
        let port = try freePort()
        try await PostgresServer.with { server in
            try makeCertificate(in: server.folder)
            await server.stop()
            try await server.start(
                with: [
                    "listen_addresses=127.0.0.1", "port=\(port)", "ssl=on", "ssl_cert_file=\(server.folder)/cert.pem",
                    "ssl_key_file=\(server.folder)/key.pem",
                ], port: port)
            let password = try #require(
                PostgresServer.password.addingPercentEncoding(withAllowedCharacters: .alphanumerics))
            func url(_ options: String) throws -> PostgresConfiguration {
                try #require(
                    PostgresConfiguration(
                        url: "postgres://computesdk:\(password)@localhost:\(port)/postgres?\(options)"))
            }
            let checked = try url(
                "sslmode=verify-full&sslrootcert=\(server.folder)/cert.pem")
            try await withPostgresStore(checked) { store async throws in
                #expect(try await store.commit(note("a")).isCommitted)
                let ciphers = try await store.read { db in
                    try db.readRows(
                        sql: "SELECT cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl", arguments: [:]
                    ) { try $0.text("cipher") }
                }
                #expect(ciphers.count == 1)
            }
            let system = try url(
                "hostaddr=127.0.0.1&sslmode=verify-full&sslrootcert=/etc/ssl/certs/ca-certificates.crt")
            let error = await #expect(throws: EventStoreError.self) {
                _ = try await PostgresEventStore.open(system, now: moment, logger: silent)
            }
            #expect(error?.code == .unavailable)
            #expect("\(String(describing: error))".contains("certificate verify failed"))
            #expect(!"\(String(describing: error))".contains(PostgresServer.password))
        }
    }

    /// Its own authority, for `localhost`.
    private func makeCertificate(in folder: String) throws {
        let openssl = Process()
        openssl.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        openssl.arguments = [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "\(folder)/key.pem", "-out",
            "\(folder)/cert.pem",
        ]
        openssl.standardError = FileHandle.nullDevice
        try openssl.run()
        openssl.waitUntilExit()
        var attributes: [FileAttributeKey: Any] = [.posixPermissions: 0o600]
        if geteuid() == 0 { attributes[.ownerAccountName] = "postgres" }
        try FileManager.default.setAttributes(attributes, ofItemAtPath: "\(folder)/key.pem")
    }
}

/// Is set once.
private final class Flag: Sendable {
    private let value = Mutex(false)
    var isSet: Bool { value.withLock { $0 } }
    func set() { value.withLock { $0 = true } }
}
