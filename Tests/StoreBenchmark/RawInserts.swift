import Foundation
import GRDB

/// GRDB by itself, as durable as the store.
struct RawInserts {
    private let pool: DatabasePool

    init(at path: String) throws {
        pool = try DatabasePool(path: path)
        try pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
    }

    func insert() async throws {
        try await pool.write { db in
            try db.cachedStatement(
                sql: """
                    INSERT INTO events (stream_id, version, group_id, type, data, metadata, occurred_at)
                    VALUES (?, 1, 'default', 'Noted', '{"n":0}', '{"actor":"system"}', 1800000000000)
                    """
            ).execute(arguments: ["note-\(UUID().uuidString)"])
        }
    }
}
