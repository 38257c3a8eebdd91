import ComputeCore
import EventSourcing
import GRDB

/// Reading the log.
struct EventSQL {
    let db: Database

    private static let columns =
        "global_position, stream_id, version, group_id, type, data, metadata, occurred_at"

    func events(of stream: StreamID) throws -> [RecordedEvent] {
        try db.readRows(
            sql: "SELECT \(Self.columns) FROM events WHERE stream_id = :stream ORDER BY version",
            arguments: ["stream": stream.rawValue], Self.event)
    }

    /// Positions are handed out inside the write lock, and a rollback gives them back: a higher one is never visible
    /// before a lower one. So "above the last one seen" skips nothing.
    func lastPosition() throws -> Int64 {
        try db.readRows(sql: "SELECT coalesce(max(global_position), 0) AS position FROM events") {
            try $0.required("position")
        }[0]
    }

    func page(after cursor: EventSourcing.Cursor?, matching filter: EventFilter, limit: Int) throws -> EventPage {
        let start = try PositionCursor(cursor).position
        let head = try lastPosition()
        guard start <= head else { throw EventStoreError(.badCursor, "the cursor is ahead of the log") }
        let limit = min(max(limit, 1), 1000)
        var arguments: StatementArguments = ["start": start, "limit": limit + 1]
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
            sql: "SELECT \(Self.columns) FROM events WHERE \(conditions) ORDER BY global_position LIMIT :limit",
            arguments: arguments, Self.event)
        let hasMore = events.count > limit
        if hasMore { events.removeLast() }
        let last = hasMore ? events.last?.position ?? head : head
        return EventPage(
            events: events, next: last > 0 ? PositionCursor(position: last).cursor : cursor, hasMore: hasMore)
    }

    private static func event(_ row: Row) throws -> RecordedEvent {
        RecordedEvent(
            position: try row.required("global_position"),
            stream: try row.requiredParsed("stream_id", StreamID.init(rawValue:)),
            version: try row.required("version"), group: GroupID(try row.required("group_id")),
            type: try row.required("type"), data: try row.json("data"), metadata: try row.json("metadata"),
            occurredAt: WallTime(milliseconds: try row.required("occurred_at")))
    }
}
