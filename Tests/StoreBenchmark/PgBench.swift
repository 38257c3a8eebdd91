import Foundation
import Glibc
import TestSupport

/// PostgreSQL's own load generator, doing what a commit of one event does.
struct PgBench {
    private let binary: String
    private let folder: String
    private let database: String

    private static let script = """
        \\set id random(1, 9223372036854775806)
        BEGIN;
        SELECT coalesce(max(version), 0) AS version FROM events WHERE stream_id = 'bench-' || CAST(:id AS TEXT);
        INSERT INTO events (stream_id, version, group_id, type, data, metadata, occurred_at)
        VALUES ('bench-' || CAST(:id AS TEXT), 1, 'default', 'Noted', '{"n":0}', '{"actor":"system"}', 1800000000000)
        RETURNING global_position;
        COMMIT;

        """

    init(server: PostgresServer, database: String) throws {
        binary = try PostgresServer.binary("pgbench")
        folder = server.folder
        self.database = database
        try Data(Self.script.utf8).write(to: URL(fileURLWithPath: "\(folder)/script.sql"))
    }

    /// - Returns: how many a second, without the time for connecting.
    func transactions(clients: Int, seconds: Int) async throws -> Double {
        let arguments = [
            "--no-vacuum", "--protocol=prepared", "--client=\(clients)", "--jobs=\(min(clients, 2))",
            "--time=\(seconds)", "--file=\(folder)/script.sql", "--host=\(folder)", "--username=computesdk", database,
        ]
        let output = try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(with: Result { try Self.output(of: binary, arguments) })
            }
        }
        guard let line = output.split(separator: "\n").first(where: { $0.hasPrefix("tps = ") }),
            let rate = Double(line.dropFirst(6).prefix { $0 != " " })
        else { throw BenchmarkFailure(description: "pgbench failed: \(output)") }
        return rate
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

struct BenchmarkFailure: Error {
    var description: String
}
