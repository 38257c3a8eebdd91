import ComputeCore
import Foundation
import Subprocess
import SystemPackage
import TestSupport
import Testing

/// The real executables on a PostgreSQL of their own.
struct PostgresServeTests {
    @Test(.timeLimit(.minutes(3))) func aServiceOnPostgresOutlivesItselfAndItsDatabase() async throws {
        try await PostgresServer.with { server in
            let system = ServedSystem(settings: try await server.settings(ofNew: "sandboxes"))
            let made = Made()
            let killed = try await system.run { running in
                let url = try await running.url()
                let answer = try await system.send("POST", "\(url)/v1/sandboxes", "{}")
                #expect((200..<300).contains(answer.status), "\(answer)")
                made.id = try #require(answer.text("sandboxId"))
                running.signal(SIGKILL)
            }
            #expect(killed == .signaled(SIGKILL))
            #expect(!FileManager.default.fileExists(atPath: "\(system.dataDirectory)/computesdk.db"))
            let status = try await system.run { running in
                let url = try await running.url()
                let path = "\(url)/v1/sandboxes/\(made.id)"
                #expect(try await system.send("GET", path).status == 200)
                await server.kill()
                let down = try await system.send("GET", path)
                #expect(down.status == 503)
                #expect(down.body["code"] == .string("unavailable"), "\(down.body)")
                try await server.start()
                let started = ContinuousClock.now
                while try await system.send("GET", path).status != 200, ContinuousClock.now - started < .seconds(60) {
                    try await Task.sleep(for: .milliseconds(20))
                }
                // Writing goes on when the database was claimed again; until then nothing is made.
                var again = try await system.send("POST", "\(url)/v1/sandboxes", "{}")
                while again.status == 503, ContinuousClock.now - started < .seconds(60) {
                    try await Task.sleep(for: .milliseconds(20))
                    again = try await system.send("POST", "\(url)/v1/sandboxes", "{}")
                }
                #expect((200..<300).contains(again.status), "\(again)")
                #expect(ContinuousClock.now - started < .seconds(20))
                running.signal(SIGTERM)
            }
            #expect(status == .exited(0), "\(system.said)")
            #expect(await Leftovers(of: system.dataDirectory).isEmpty)
        }
    }

    @Test(.timeLimit(.minutes(3))) func aServiceWhoseDatabaseAnotherInstanceTookEndsWithAnError() async throws {
        try await PostgresServer.with { server in
            let system = ServedSystem(settings: try await server.settings(ofNew: "sandboxes"))
            let lock = 0x6373_646c
            let status = try await system.run { running in
                _ = try await running.url()
                // Waits for the lock, and has it as soon as the service's connection was ended.
                let taking = Task {
                    try await server.run(
                        "SELECT pg_advisory_lock(\(lock)); SELECT pg_sleep(20)",
                        in: server.configuration(database: "sandboxes"))
                }
                defer { taking.cancel() }
                try await server.run(
                    """
                    DO $$ BEGIN
                      WHILE NOT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted) LOOP
                        PERFORM pg_sleep(0.01);
                      END LOOP;
                      PERFORM pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted;
                    END $$
                    """, in: server.configuration(database: "sandboxes"))
            }
            #expect(status == .exited(1), "\(system.said)")
            #expect(system.said.contains("taken the database over"), "\(system.said)")
            #expect(await Leftovers(of: system.dataDirectory).isEmpty)
        }
    }

    @Test func migratingTwiceTakesTheStepsOnceAndABadAddressIsSaidPlainly() async throws {
        try await PostgresServer.with { server in
            let settings = try await server.settings(ofNew: "sandboxes")
            let first = try await migrate(settings)
            let second = try await migrate(settings)
            #expect(first.status == .exited(0) && !first.output.contains("; 0 steps"), "\(first)")
            #expect(second.status == .exited(0) && second.output.contains("; 0 steps"), "\(second)")
            let absent = try await migrate(server.settings(of: "nothing"))
            #expect(absent.status == .exited(1))
            #expect(absent.errors.contains(#"database "nothing" does not exist"#), "\(absent)")
            let wrong = try await migrate(["DATABASE_URL": "mysql://user:secret@h/d"])
            #expect(wrong.status == .exited(1))
            #expect(wrong.errors.contains("DATABASE_URL") && !wrong.errors.contains("secret"), "\(wrong)")
        }
    }

    private func migrate(_ settings: [String: String]) async throws
        -> (status: TerminationStatus, output: String, errors: String)
    {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let executable = URL(fileURLWithPath: own).deletingLastPathComponent().appending(path: "api")
        let environment = settings.merging(["HOME": "/nonexistent"]) { given, _ in given }
        let result = try await Subprocess.run(
            .path(FilePath(executable.path)), arguments: ["migrate"],
            environment: .custom(
                Dictionary(uniqueKeysWithValues: environment.map { (Environment.Key(stringLiteral: $0.key), $0.value) })
            ),
            output: .string(limit: 1 << 16), error: .string(limit: 1 << 16))
        return (result.terminationStatus, result.standardOutput, result.standardError)
    }
}

extension PostgresServer {
    /// What a service is told to use that database; the plain names, as deployments set them.
    func settings(of database: String) -> [String: String] {
        [
            "DATABASE_TYPE": "postgres", "POSTGRES_HOST": folder, "POSTGRES_USER": "computesdk",
            "POSTGRES_PASSWORD": "unused on a socket", "POSTGRES_DATABASE": database,
        ]
    }

    func settings(ofNew database: String) async throws -> [String: String] {
        try await run("CREATE DATABASE \(database)")
        return settings(of: database)
    }
}

/// What one run of the service leaves to the next.
private final class Made: @unchecked Sendable {
    // Written in one run, read in the next, which starts after the first has ended.
    var id = ""
}
