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
struct PostgresLog: SQLLog {
    let db: any SQLConnection

    static let columns = "\(EventSQL.columns), CAST(transaction_id AS TEXT) AS transaction_id"
    /// With the table's name, because a column of the answer has the other one.
    static let order = "events.transaction_id, global_position"
    static let place = "CAST(transaction_id AS TEXT) AS transaction_id, global_position"

    static func range(after start: TransactionPlace, to head: TransactionPlace)
        -> (condition: String, arguments: SQLArguments)
    {
        (
            """
            (events.transaction_id, global_position) > (\(transaction("start")), :start_position)
            AND (events.transaction_id, global_position) <= (\(transaction("head")), :head_position)
            """,
            [
                "start_transaction": start.transaction, "start_position": start.position,
                "head_transaction": head.transaction, "head_position": head.position,
            ]
        )
    }

    func head() throws -> TransactionPlace? {
        try db.readRows(
            sql: """
                SELECT \(Self.place) FROM events
                WHERE transaction_id < pg_snapshot_xmin(pg_current_snapshot())
                ORDER BY events.transaction_id DESC, global_position DESC LIMIT 1
                """, TransactionPlace.init(row:)
        ).first
    }

    /// Whether something is committed that cannot be read yet.
    func isHeldUp() throws -> Bool { try newestReaches("pg_snapshot_xmin") }

    /// Transactions are counted per server. In a copy of the database on another one, made from a dump, new events could
    /// come before old ones.
    func requireOwnCluster() throws {
        guard try newestReaches("pg_snapshot_xmax") else { return }
        throw EventStoreError(
            .corrupt,
            """
            the log was written on another server and restored here; see "Restoring a dump" in the documentation of \
            settings
            """)
    }

    /// - Parameter bound: the function that gives the first transaction that counts, of what can be seen now.
    private func newestReaches(_ bound: String) throws -> Bool {
        // The newest by the index, and then compared. Asked for one above the bound, PostgreSQL reads the whole table,
        // since it thinks that a third of it is.
        try db.readRows(
            sql: """
                SELECT count(*) AS count FROM (
                  SELECT transaction_id FROM events ORDER BY events.transaction_id DESC, global_position DESC LIMIT 1
                ) AS newest WHERE transaction_id >= \(bound)(pg_current_snapshot())
                """
        ) { try $0.required("count") as Int }[0] > 0
    }

    /// There is no way from a number to a transaction's id but through text.
    private static func transaction(_ name: String) -> String {
        "CAST(CAST(:\(name)_transaction AS TEXT) AS XID8)"
    }
}

/// A place in the log: after the event of that transaction and position.
struct TransactionPlace: LogPlace {
    var transaction: Int64
    var position: Int64

    static let start = TransactionPlace(transaction: 0, position: 0)

    static func < (one: TransactionPlace, other: TransactionPlace) -> Bool {
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
