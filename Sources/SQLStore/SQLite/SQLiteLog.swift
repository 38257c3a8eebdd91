import ComputeCore
import EventSourcing

/// Reading the whole log in SQLite, where commits happen one after the other.
struct SQLiteLog {
    let db: any SQLConnection

    /// Positions are handed out inside the write lock, and a rollback gives them back: a higher one is never visible
    /// before a lower one. So "above the last one seen" skips nothing.
    func lastPosition() throws -> Int64 {
        try db.readRows(sql: "SELECT coalesce(max(global_position), 0) AS position FROM events") {
            try $0.required("position")
        }[0]
    }

    func page(after cursor: Cursor?, matching filter: EventFilter, limit: Int) throws -> EventPage {
        let start = try PositionCursor(cursor).position
        let head = try lastPosition()
        guard start <= head else { throw EventStoreError(.badCursor, "the cursor is ahead of the log") }
        let limit = min(max(limit, 1), 1000)
        var arguments: SQLArguments = ["start": start, "limit": limit + 1]
        var conditions = "global_position > :start"
        if let group = filter.group {
            conditions += " AND group_id = :group"
            arguments += ["group": group.rawValue]
        }
        if let stream = filter.stream {
            conditions += " AND stream_id = :stream"
            arguments += ["stream": stream.rawValue]
        }
        var events = try db.readRows(
            sql: "SELECT \(EventSQL.columns) FROM events WHERE \(conditions) ORDER BY global_position LIMIT :limit",
            arguments: arguments, EventSQL.event)
        let hasMore = events.count > limit
        if hasMore { events.removeLast() }
        let last = hasMore ? events.last?.position ?? head : head
        return EventPage(
            events: events, next: last > 0 ? PositionCursor(position: last).cursor : cursor, hasMore: hasMore)
    }
}
