import ComputeCore
import EventSourcing

/// Reading the whole log in SQLite, where commits happen one after the other.
///
/// Positions are handed out inside the write lock, and a rollback gives them back: a higher one is never visible before
/// a lower one. So "above the last one seen" skips nothing.
struct SQLiteLog: SQLLog {
    let db: any SQLConnection

    static let columns = EventSQL.columns
    static let order = "global_position"
    static let place = "global_position"

    static func range(after start: PositionCursor, to head: PositionCursor)
        -> (condition: String, arguments: SQLArguments)
    {
        (
            "global_position > :start AND global_position <= :head",
            ["start": start.position, "head": head.position]
        )
    }

    func head() throws -> PositionCursor? {
        try db.readRows(
            sql: "SELECT global_position FROM events ORDER BY global_position DESC LIMIT 1", PositionCursor.init(row:)
        ).first
    }
}

extension PositionCursor: LogPlace {
    static let start = PositionCursor(position: 0)

    init(row: any SQLRow) throws { self.init(position: try row.required("global_position")) }
}
