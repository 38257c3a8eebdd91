import ComputeCore
import EventSourcing

/// Reading the whole log, page by page.
protocol SQLLog {
    associatedtype Place: LogPlace
    var db: any SQLConnection { get }

    /// Those of an event and of its place.
    static var columns: String { get }
    static var order: String { get }
    /// The columns of a place alone.
    static var place: String { get }
    /// What is after `start`, up to `head`.
    static func range(after start: Place, to head: Place) -> (condition: String, arguments: SQLArguments)

    /// The last place that can be read; nil when there is none. What is there up to it does not change any more.
    func head() throws -> Place?
}

/// A place in the log: after one event.
protocol LogPlace: Comparable, Sendable {
    static var start: Self { get }
    var cursor: Cursor { get }
    /// nil is the start of the log.
    init(_ cursor: Cursor?) throws(EventStoreError)
    init(row: any SQLRow) throws
}

extension SQLLog {
    func page(after cursor: Cursor?, matching filter: EventFilter, limit: Int) throws -> EventPage {
        let start = try Place(cursor)
        let head = try head() ?? .start
        guard start <= head else { throw EventStoreError(.badCursor, "the cursor is ahead of the log") }
        let limit = min(max(limit, 1), 1000)
        let end = try filter.looksAtEach ? endOfLook(after: start, to: head, matching: filter) : head
        let enough = filter.looksAtEach ? longestLook : limit + 1
        var conditions = indexed(filter, after: start, to: end, atMost: enough)
        try conditions.look(for: filter)
        conditions.arguments += ["limit": limit + 1]
        var rows = try db.readRows(
            sql: """
                SELECT \(Self.columns) FROM \(conditions.source) WHERE \(conditions.sql)
                ORDER BY \(Self.order) LIMIT :limit
                """, arguments: conditions.arguments
        ) { (event: try EventSQL.event($0), place: try Place(row: $0)) }
        let isFull = rows.count > limit
        if isFull { rows.removeLast() }
        let last = isFull ? rows.last?.place ?? end : end
        let places = rows.map(\.place)
        return EventPage(
            events: rows.map(\.event), next: last > .start ? last.cursor : cursor, hasMore: isFull || end < head,
            places: { places[$0].cursor })
    }

    /// Where one page stops looking at events one by one, so that a rare one costs many short pages and not one that
    /// holds a connection for long.
    private func endOfLook(after start: Place, to head: Place, matching filter: EventFilter) throws -> Place {
        var conditions = indexed(filter, after: start, to: head, atMost: longestLook)
        conditions.arguments += ["skipped": longestLook - 1]
        return try db.readRows(
            sql: """
                SELECT \(Self.place) FROM \(conditions.source) WHERE \(conditions.sql)
                ORDER BY \(Self.order) LIMIT 1 OFFSET :skipped
                """, arguments: conditions.arguments, Place.init(row:)
        ).first ?? head
    }

    /// - Parameter count: how many of a stream are needed at most.
    private func indexed(_ filter: EventFilter, after start: Place, to end: Place, atMost count: Int) -> LogConditions {
        let range = Self.range(after: start, to: end)
        var conditions = LogConditions(sql: range.condition, arguments: range.arguments)
        if let group = filter.group {
            conditions.sql += " AND group_id = :group"
            conditions.arguments += ["group": group.rawValue]
        }
        if let streams = filter.streams {
            conditions.read(streams.map(\.rawValue), in: range.condition, order: Self.order, atMost: count)
        }
        return conditions
    }
}

/// About 20 ms of looking.
private let longestLook = 20_000

/// What stands behind FROM and WHERE.
private struct LogConditions {
    var source = "events"
    var sql: String
    var arguments: SQLArguments

    /// Takes the first ones of each stream by themselves, which the index of streams has in order. Left to choose, a
    /// database without statistics goes through the whole group instead.
    mutating func read(_ streams: [String], in range: String, order: String, atMost count: Int) {
        guard !streams.isEmpty else { return sql += " AND 1 = 0" }
        let names = bind(streams, named: "stream")
        let parts = names.map { name in
            """
            SELECT * FROM (SELECT * FROM events WHERE stream_id = :\(name) AND \(range)
            ORDER BY \(order) LIMIT :count) AS \(name)
            """
        }
        source = "(\(parts.joined(separator: " UNION ALL "))) AS events"
        arguments += ["count": count]
    }

    mutating func look(for filter: EventFilter) throws(EventStoreError) {
        if let types = filter.types { addList("type", of: Array(types), named: "type") }
        if let actor = filter.actor {
            // The keys of what is stored are sorted, and this one is the first: its text begins with it. A quote ends
            // the name, so that no other one begins likewise.
            let beginning = String(try jsonText(EventMetadata(actor: actor).document).dropLast())
            sql += " AND substr(metadata, 1, CAST(:actor_length AS INTEGER)) = :actor"
            arguments += ["actor": beginning, "actor_length": beginning.unicodeScalars.count]
        }
        if let since = filter.since {
            sql += " AND occurred_at >= :since"
            arguments += ["since": since.milliseconds]
        }
        if let until = filter.until {
            sql += " AND occurred_at < :until"
            arguments += ["until": until.milliseconds]
        }
    }

    mutating func addList(_ column: String, of values: [String], named name: String) {
        // An empty list is no SQL; nothing is in none.
        guard !values.isEmpty else { return sql += " AND 1 = 0" }
        let names = bind(values, named: name).map { ":\($0)" }
        sql += " AND \(column) IN (\(names.joined(separator: ", ")))"
    }

    /// - Returns: a name per value, in letters, which is all that names may have: `type_a`, `type_aa` …
    private mutating func bind(_ values: [String], named name: String) -> [String] {
        let names = values.indices.map { "\(name)_\(String(repeating: "a", count: $0 + 1))" }
        for (name, value) in zip(names, values.sorted()) { arguments.bind(name, to: value) }
        return names
    }
}
