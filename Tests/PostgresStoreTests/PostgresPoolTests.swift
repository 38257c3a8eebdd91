import Dispatch
import Glibc
import Logging
import PostgresClient
import TestSupport
import Testing

struct PostgresPoolTests {
    private func withPool(
        _ configuration: PostgresConfiguration, connections: Int = 2, deadline: Duration = .seconds(5),
        _ run: (PostgresPool) async throws -> Void
    ) async throws {
        var configuration = configuration
        configuration.connections = connections
        configuration.deadline = deadline
        let pool = PostgresPool(configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        pool.start()
        defer { pool.close() }
        try await run(pool)
    }

    private func text(_ sql: String, _ pool: PostgresPool, _ parameters: [PostgresParameter] = []) async throws
        -> String?
    {
        try await pool.run { connection, deadline in
            try connection.execute(sql, parameters, until: deadline).text(0, "v")
        }
    }

    private func failure(_ run: () async throws -> Void) async -> PostgresError? {
        do {
            try await run()
            return nil
        } catch { return error as? PostgresError }
    }

    private func code(_ run: () async throws -> Void) async -> PostgresError.Code? { await failure(run)?.code }

    @Test func valuesComeBackAsTheyWere() async throws {
        try await PostgresServer.with { server in
            try await withPool(server.configuration()) { pool async throws in
                for value in ["", "x'; DROP TABLE x; --", "é\u{1F600}\n\\", String(repeating: "a", count: 300_000)] {
                    #expect(try await text("SELECT $1 AS v", pool, [.text(value)]) == value)
                }
                #expect(try await text("SELECT $1 AS v", pool, [.text(nil)]) == nil)
                #expect(try await text("SELECT $1 + 1 AS v", pool, [.integer(.max - 1)]) == "\(Int64.max)")
                #expect(await code { _ = try await text("SELECT nothing AS v", pool) } == .refused)
                #expect(try await text("SELECT 1 AS v", pool) == "1", "a refused statement costs no connection")
            }
        }
    }

    @Test func aStatementThatTakesTooLongIsEndedByTheServer() async throws {
        try await PostgresServer.with { server in
            try await withPool(server.configuration(), connections: 1, deadline: .seconds(8)) { pool async throws in
                // The connection is there, so that the time is the statement's.
                let first = try await text("SELECT pg_backend_pid() AS v", pool)
                let clock = ContinuousClock()
                let elapsed = await clock.measure {
                    #expect(await code { _ = try await text("SELECT pg_sleep(60) AS v", pool) } == .cancelled)
                }
                #expect(elapsed < .seconds(40))
                let second = try await text("SELECT pg_backend_pid() AS v", pool)
                #expect(first == second, "it costs no connection")
            }
        }
    }

    @Test func aCancelledTaskEndsItsStatementOnTheServer() async throws {
        try await PostgresServer.with { server in
            try await withPool(server.configuration(), connections: 1, deadline: .seconds(60)) { pool async throws in
                let task = Task { try await text("SELECT pg_sleep(50) AS v", pool) }
                try await withPool(server.configuration()) { other in
                    let sleeping =
                        "SELECT count(*) AS v FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' "
                        + "AND state = 'active'"
                    #expect(await eventually { try await text(sleeping, other) == "1" })
                    task.cancel()
                    #expect(await code { _ = try await task.value } == .cancelled)
                    #expect(await eventually { try await text(sleeping, other) == "0" })
                }
                #expect(try await text("SELECT 1 AS v", pool) == "1")
            }
        }
    }

    @Test func aFrozenServerIsFoundOutWithinTheDeadline() async throws {
        try await PostgresServer.with { server in
            try await withPool(server.configuration(), deadline: .seconds(3)) { pool async throws in
                #expect(try await text("SELECT 1 AS v", pool) == "1")
                server.signalAll(SIGSTOP)
                let clock = ContinuousClock()
                let elapsed = await clock.measure {
                    await withTaskGroup(of: PostgresError.Code?.self) { group in
                        for _ in 0..<20 {
                            group.addTask { await code { _ = try await text("SELECT 1 AS v", pool) } }
                        }
                        for await code in group { #expect(code != nil) }
                    }
                }
                server.signalAll(SIGCONT)
                #expect(elapsed < .seconds(30))
                #expect(await eventually { try await text("SELECT 1 AS v", pool) == "1" })
            }
        }
    }

    @Test func aServerThatIsDownIsSaidToBeDownAndUsedAgainWhenItIsUp() async throws {
        try await PostgresServer.with { server in
            try await withPool(server.configuration(), deadline: .seconds(60)) { pool async throws in
                #expect(try await text("SELECT 1 AS v", pool) == "1")
                await server.kill()
                #expect(await eventually { await code { _ = try await text("SELECT 1 AS v", pool) } == .unreachable })
                let clock = ContinuousClock()
                let elapsed = await clock.measure {
                    #expect(await code { _ = try await text("SELECT 1 AS v", pool) } == .unreachable)
                }
                #expect(elapsed < .seconds(20), "nobody waits for a server that is known to be down")
                try await server.start()
                #expect(await eventually { try await text("SELECT 1 AS v", pool) == "1" })
            }
        }
    }

    @Test func workThatIsTooLateDoesNotMakeTheServerLookDown() async throws {
        try await PostgresServer.with { server in
            try await withPool(server.configuration(), connections: 1, deadline: .seconds(60)) { pool async throws in
                let (begun, mayEnd) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
                // Holds the only thread, and loses its connection.
                let first = Task {
                    try await pool.run { connection, deadline in
                        try? connection.run(script: "SELECT pg_terminate_backend(pg_backend_pid())", until: deadline)
                        begun.signal()
                        mayEnd.wait()
                    }
                }
                await withCheckedContinuation { continuation in
                    DispatchQueue.global().async {
                        begun.wait()
                        continuation.resume()
                    }
                }
                let late = await code { try await pool.run(until: ContinuousClock.now + .seconds(2)) { _, _ in } }
                #expect(late == .deadlineExceeded)
                mayEnd.signal()
                #expect(try await text("SELECT 1 AS v", pool) == "1")
                _ = try? await first.value
            }
        }
    }

    @Test func workThatIsPartOfSomethingEndsWithIt() async throws {
        try await PostgresServer.with { server in
            try await withPool(server.configuration(), deadline: .seconds(60)) { pool async throws in
                let elapsed = await ContinuousClock().measure {
                    let code = await code {
                        try await pool.run(until: ContinuousClock.now + .milliseconds(500)) { connection, deadline in
                            _ = try connection.execute("SELECT pg_sleep(50)", until: deadline)
                        }
                    }
                    #expect(code == .deadlineExceeded)
                }
                #expect(elapsed < .seconds(20))
            }
        }
    }

    @Test func aConnectionThatWasEndedWhileIdleIsReplaced() async throws {
        try await PostgresServer.with { server in
            try await withPool(server.configuration(), connections: 1) { pool async throws in
                let first = try await text("SELECT pg_backend_pid() AS v", pool)
                // Until its process has gone: one that has only been told to go may still take a statement.
                try await server.run("SELECT pg_terminate_backend(\(first ?? "0"), 20000)")
                let second = try await text("SELECT pg_backend_pid() AS v", pool)
                #expect(first != second)
            }
        }
    }

    @Test func aNoticeThatCameWithAnAnswerIsNotWaitedFor() async throws {
        try await PostgresServer.with { server in
            try await withPool(server.configuration(), connections: 1, deadline: .seconds(60)) { pool async throws in
                try await pool.run { try $0.run(script: "LISTEN here", until: $1) }
                try await server.run("NOTIFY here")
                let elapsed = try await ContinuousClock().measure {
                    try await pool.run { connection, deadline in
                        try connection.execute("SELECT pg_sleep(0.1)", until: deadline)
                        try connection.waitForNotification(orInputOn: -1, timeout: .seconds(30))
                    }
                }
                #expect(elapsed < .seconds(15))
            }
        }
    }

    @Test func theSettingsOfAConnectionKeepWhatIsAcknowledged() async throws {
        try await PostgresServer.with { server in
            try await server.run("ALTER ROLE computesdk SET synchronous_commit = off")
            try await withPool(server.configuration()) { pool async throws in
                #expect(try await text("SELECT current_setting('synchronous_commit') AS v", pool) == "on")
                #expect(
                    try await text("SELECT current_setting('idle_in_transaction_session_timeout') AS v", pool) == "5s")
            }
        }
    }

    @Test func theServerFindsOutWithinHalfAMinuteThatOurMachineIsGone() async throws {
        let port = try freePort()
        try await PostgresServer.with { server in
            await server.stop()
            try await server.start(with: ["listen_addresses=127.0.0.1", "port=\(port)"], port: port)
            let configuration = PostgresConfiguration(
                host: "127.0.0.1", port: port, user: "computesdk", password: PostgresServer.password,
                database: "postgres")
            try await withPool(configuration) { pool async throws in
                for (name, value) in [("idle", "10"), ("interval", "5"), ("count", "3")] {
                    let said = try await text("SELECT current_setting('tcp_keepalives_\(name)') AS v", pool)
                    #expect(said == value, "\(name)")
                }
                #expect(try await text("SELECT current_setting('tcp_user_timeout') AS v", pool) == "15000")
            }
        }
    }

    @Test func moreThanCanWaitIsRefused() async throws {
        try await PostgresServer.with { server in
            try await withPool(server.configuration(), connections: 1, deadline: .seconds(60)) { pool async throws in
                let codes = await withTaskGroup(of: PostgresError.Code?.self) { group in
                    for _ in 0..<2100 {
                        group.addTask { await code { _ = try await text("SELECT pg_sleep(50) AS v", pool) } }
                    }
                    var codes: [PostgresError.Code?] = []
                    for await code in group {
                        codes.append(code)
                        // Those that wait have not to be waited for.
                        if codes.count(where: { $0 == .overloaded }) == 90 { group.cancelAll() }
                    }
                    return codes
                }
                #expect((90...100).contains(codes.count { $0 == .overloaded }))
                #expect(codes.allSatisfy { $0 != nil })
            }
        }
    }

    @Test func aClosedPoolRefusesWhatComes() async throws {
        try await PostgresServer.with { server in
            try await withPool(server.configuration()) { pool async throws in
                pool.close()
                #expect(await code { _ = try await text("SELECT 1 AS v", pool) } == .closed)
            }
        }
    }

    // MARK: - Statements that wait for the next one

    private func count(_ pool: PostgresPool) async throws -> String? {
        try await text("SELECT count(*) AS v FROM t", pool)
    }

    @Test func statementsThatNobodyLooksAtAreDoneInTheirOrderBeforeTheNext() async throws {
        try await PostgresServer.with { server in
            try await withPool(server.configuration(), connections: 1) { pool async throws in
                let seen = try await pool.run { connection, deadline in
                    try connection.transaction(until: deadline) {
                        // What is used was made a statement before, and has not been sent.
                        try connection.run("CREATE TABLE t (n INT8)", until: deadline)
                        for n in 1...1000 as ClosedRange<Int64> {
                            try connection.run("INSERT INTO t VALUES ($1)", [.integer(n)], until: deadline)
                        }
                        try connection.run("UPDATE t SET n = n * 10", until: deadline)
                        let sum = try connection.execute("SELECT sum(n) AS v FROM t", until: deadline).text(0, "v")
                        try connection.run("DELETE FROM t WHERE n > $1", [.integer(20)], until: deadline)
                        return (keep: true, value: sum)
                    }
                }
                #expect(seen == "5005000")
                #expect(try await count(pool) == "2", "what stood last went with the commit")
            }
        }
    }

    @Test func aFailureAmongThemUndoesAllAndCostsNoConnection() async throws {
        try await PostgresServer.with { server in
            try await withPool(server.configuration(), connections: 1) { pool async throws in
                try await server.run("CREATE TABLE t (n INT8 PRIMARY KEY)")
                let first = try await text("SELECT pg_backend_pid() AS v", pool)
                // The second list is so long that some are sent ahead, the one that fails among them.
                let lists: [[Int64]] = [[1, 1, 2], Array(1...300) + [150] + Array(301...1000)]
                for (list, looks) in lists.flatMap({ [($0, true), ($0, false)] }) {
                    let failure = await failure {
                        try await pool.run { connection, deadline in
                            try connection.transaction(until: deadline) {
                                for n in list {
                                    try connection.run("INSERT INTO t VALUES ($1)", [.integer(n)], until: deadline)
                                }
                                if looks { try connection.execute("SELECT count(*) FROM t", until: deadline) }
                                return (keep: true, value: ())
                            }
                        }
                    }
                    #expect(failure?.sqlState == "23505", "the reason, and not that the transaction is aborted")
                    #expect(try await count(pool) == "0")
                }
                #expect(try await text("SELECT pg_backend_pid() AS v", pool) == first)
            }
        }
    }

    @Test func nothingIsDoneOfATransactionThatIsNotKept() async throws {
        try await PostgresServer.with { server in
            try await withPool(server.configuration(), connections: 1) { pool async throws in
                try await server.run("CREATE TABLE t (n INT8)")
                for (rows, looks) in [(1, true), (1, false), (700, true), (700, false)] {
                    try await pool.run { connection, deadline in
                        try connection.transaction(until: deadline) {
                            for _ in 0..<rows { try connection.run("INSERT INTO t VALUES (1)", until: deadline) }
                            if looks { try connection.execute("SELECT count(*) FROM t", until: deadline) }
                            return (keep: false, value: ())
                        }
                    }
                    #expect(try await count(pool) == "0")
                }
            }
        }
    }
}
