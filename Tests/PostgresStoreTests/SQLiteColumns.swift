import Foundation
import SQLStore

/// `table.column` of everything in a fresh file, sorted.
func sqliteColumns() async throws -> [String] {
    let path = FileManager.default.temporaryDirectory.appending(path: "columns-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    let store = try await SQLiteEventStore.open(at: "\(path)/db", now: moment)
    let columns = try await store.read { db in
        try db.readRows(
            sql: """
                SELECT m.name || '.' || c.name AS name FROM sqlite_master m, pragma_table_info(m.name) c
                WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY 1
                """, arguments: [:]
        ) { try $0.text("name") ?? "" }
    }
    try await store.close()
    return columns
}
