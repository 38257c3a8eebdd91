import ComputeCore
import EventSourcing

/// Reading the whole log, page by page.
protocol SQLLog {
    associatedtype Place: LogPlace
    var db: any SQLConnection { get }

    /// Those of an event and of its place.
    static var columns: String { get }
    static var order: String { get }
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
        var (conditions, arguments) = Self.range(after: start, to: head)
        arguments += ["limit": limit + 1]
        if let group = filter.group {
            conditions += " AND group_id = :group"
            arguments += ["group": group.rawValue]
        }
        if let stream = filter.stream {
            conditions += " AND stream_id = :stream"
            arguments += ["stream": stream.rawValue]
        }
        var rows = try db.readRows(
            sql: "SELECT \(Self.columns) FROM events WHERE \(conditions) ORDER BY \(Self.order) LIMIT :limit",
            arguments: arguments
        ) { (event: try EventSQL.event($0), place: try Place(row: $0)) }
        let hasMore = rows.count > limit
        if hasMore { rows.removeLast() }
        let last = hasMore ? rows.last?.place ?? head : head
        return EventPage(
            events: rows.map(\.event), next: last > .start ? last.cursor : cursor, hasMore: hasMore)
    }
}
