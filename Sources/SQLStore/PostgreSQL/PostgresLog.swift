import ComputeCore
import EventSourcing

/// Reading the whole log in PostgreSQL, where commits happen at the same time and in any order.
///
/// ```
///   transaction   100   101   102   103
///                  │     │     │     │
///   committed      ✓     –     ✓     ✓         101 is still at it, so the log ends before it:
///   readable       ✓     ╎                     when it commits, nobody is past it.
/// ```
/// Events have the number of their transaction. All transactions below `pg_snapshot_xmin` of a snapshot have ended, so
/// what it shows of them is all there will ever be. The order is that of (transaction, position).
struct PostgresLog {
    let db: any SQLConnection

    private static let place = "CAST(transaction_id AS TEXT) AS transaction_id, global_position"

    /// The last place that can be read; nil when there is none.
    func head() throws -> LogPlace? {
        try db.readRows(
            sql: """
                SELECT \(Self.place) FROM events
                WHERE transaction_id < pg_snapshot_xmin(pg_current_snapshot())
                ORDER BY events.transaction_id DESC, global_position DESC LIMIT 1
                """, LogPlace.init(row:)
        ).first
    }

    /// Whether something is committed that cannot be read yet.
    func isHeldUp() throws -> Bool {
        try db.readRows(
            sql: """
                SELECT count(*) AS count FROM (
                  SELECT 1 FROM events WHERE transaction_id >= pg_snapshot_xmin(pg_current_snapshot()) LIMIT 1
                ) AS held_up
                """
        ) { try $0.required("count") as Int }[0] > 0
    }

    func page(after cursor: Cursor?, matching filter: EventFilter, limit: Int) throws -> EventPage {
        let start = try LogPlace(cursor)
        let head = try head() ?? LogPlace.start
        guard start <= head else { throw EventStoreError(.badCursor, "the cursor is ahead of the log") }
        let limit = min(max(limit, 1), 1000)
        // Up to the head only: it was read with an older snapshot, and the log up to there does not change.
        var arguments: SQLArguments = [
            "start_transaction": start.transaction, "start_position": start.position,
            "head_transaction": head.transaction, "head_position": head.position, "limit": limit + 1,
        ]
        var conditions = """
            (events.transaction_id, global_position) > (\(Self.transaction("start")), :start_position)
            AND (events.transaction_id, global_position) <= (\(Self.transaction("head")), :head_position)
            """
        if let group = filter.group {
            conditions += " AND group_id = :group"
            arguments += ["group": group.rawValue]
        }
        if let stream = filter.stream {
            conditions += " AND stream_id = :stream"
            arguments += ["stream": stream.rawValue]
        }
        var rows = try db.readRows(
            sql: """
                SELECT \(EventSQL.columns), CAST(transaction_id AS TEXT) AS transaction_id FROM events
                WHERE \(conditions) ORDER BY events.transaction_id, global_position LIMIT :limit
                """, arguments: arguments
        ) { (event: try EventSQL.event($0), place: try LogPlace(row: $0)) }
        let hasMore = rows.count > limit
        if hasMore { rows.removeLast() }
        let last = hasMore ? rows.last?.place ?? head : head
        return EventPage(
            events: rows.map(\.event), next: last > .start ? last.cursor : cursor, hasMore: hasMore)
    }

    /// There is no way from a number to a transaction's id but through text.
    private static func transaction(_ name: String) -> String {
        "CAST(CAST(:\(name)_transaction AS TEXT) AS XID8)"
    }
}

/// A place in the log: after the event of that transaction and position.
struct LogPlace: Comparable, Sendable {
    var transaction: Int64
    var position: Int64

    static let start = LogPlace(transaction: 0, position: 0)

    static func < (one: LogPlace, other: LogPlace) -> Bool {
        (one.transaction, one.position) < (other.transaction, other.position)
    }

    init(transaction: Int64, position: Int64) {
        self.transaction = transaction
        self.position = position
    }

    init(row: any SQLRow) throws {
        self.init(transaction: try row.required("transaction_id"), position: try row.required("global_position"))
    }

    /// Not 1, which is the layout of stores that count by position alone.
    private static let version: UInt8 = 2

    var cursor: Cursor { Cursor(kind: .events, version: Self.version, payload: transaction.bytes + position.bytes) }

    /// nil is the start of the log.
    init(_ cursor: Cursor?) throws(EventStoreError) {
        self = .start
        guard let cursor else { return }
        let payload = try cursor.payload(kind: .events, version: Self.version)
        guard payload.count == 16, let transaction = Int64(bytes: payload[..<8]), transaction >= 0,
            let position = Int64(bytes: payload[8...]), position >= 0
        else { throw EventStoreError(.badCursor, "the cursor is not one of this list") }
        self.init(transaction: transaction, position: position)
    }
}
