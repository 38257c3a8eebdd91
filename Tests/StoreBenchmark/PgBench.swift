import Foundation
import Glibc
import TestSupport

/// PostgreSQL's own load generator, inserting the rows that commits of one event insert.
struct PgBench {
    enum Work {
        case insert, readAndInsert, selectOnly
    }

    /// What is its own and not built in.
    private enum Script: String, CaseIterable {
        /// The insert alone, a transaction by itself: nothing could be faster, and nothing is checked.
        case insert
        /// What an event store asks of a client without more ado: the version is read, then the row is inserted.
        case readAndInsert = "read-insert"

        var text: String {
            let insert = """
                INSERT INTO events (stream_id, version, group_id, type, data, metadata, occurred_at)
                VALUES ('bench-' || CAST(:id AS TEXT), 1, 'default', 'Noted', '{"n":0}', '{"actor":"system"}',
                1800000000000) RETURNING global_position;
                """
            let stream = "'bench-' || CAST(:id AS TEXT)"
            let version = "SELECT coalesce(max(version), 0) FROM events WHERE stream_id = \(stream);"
            let id = "\\set id random(1, 9223372036854775806)\n"
            return switch self {
            case .insert: id + insert + "\n"
            case .readAndInsert: id + "BEGIN;\n" + version + "\n" + insert + "\nCOMMIT;\n"
            }
        }
    }

    private let binary: String
    private let folder: String
    private let database: String

    init(server: PostgresServer, database: String) throws {
        binary = try PostgresServer.binary("pgbench")
        folder = server.folder
        self.database = database
        for script in Script.allCases {
            try Data(script.text.utf8).write(to: URL(fileURLWithPath: "\(folder)/\(script.rawValue).sql"))
        }
    }

    /// The table that `selectOnly` reads.
    func prepareAccounts() async throws {
        _ = try await output(["--initialize", "--scale=10", "--quiet"])
    }

    /// - Returns: how many a second, without the time for connecting.
    func rate(of work: Work, clients: Int, seconds: Int) async throws -> Double {
        let what =
            switch work {
            case .insert: "--file=\(folder)/\(Script.insert.rawValue).sql"
            case .readAndInsert: "--file=\(folder)/\(Script.readAndInsert.rawValue).sql"
            case .selectOnly: "--select-only"
            }
        let output = try await output([
            "--no-vacuum", "--protocol=prepared", "--client=\(clients)", "--jobs=\(min(clients, 2))",
            "--time=\(seconds)", what,
        ])
        guard let line = output.split(separator: "\n").first(where: { $0.hasPrefix("tps = ") }),
            let rate = Double(line.dropFirst(6).prefix { $0 != " " })
        else { throw BenchmarkFailure(description: "pgbench failed: \(output)") }
        return rate
    }

    private func output(_ arguments: [String]) async throws -> String {
        let all = arguments + ["--host=\(folder)", "--username=computesdk", database]
        return try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(with: Result { try Self.output(of: binary, all) })
            }
        }
    }

    private static func output(of binary: String, _ arguments: [String]) throws -> String {
        let (process, pipe) = (Process(), Pipe())
        process.executableURL = URL(fileURLWithPath: binary)
        process.arguments = arguments
        process.standardOutput = pipe
        process.standardError = pipe
        // Threads of Dispatch block signals, and a child inherits that: pgbench would not hear the alarm that ends it.
        var (none, before) = (sigset_t(), sigset_t())
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        try process.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return String(decoding: output, as: UTF8.self)
    }
}
