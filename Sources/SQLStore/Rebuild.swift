import ComputeCore
import ComputeDomain
import EventSourcing

/// Makes the read models anew from the log: within one transaction, with nobody appending meanwhile.
///
/// What is no consequence of events (unique rows, counters, private rows, sealed values, when a session was last used, the
/// usage of histories that left the log) stays.
struct Rebuild<Log: SQLLog> {
    let log: Log
    private var db: any SQLConnection { log.db }

    /// Rows of a page are written once, however many of its events change them.
    private static var batch: Int { 5000 }

    /// - Returns: how many events there are.
    func run() throws -> Int {
        let sessionUses = try uses(of: ["session_id"], in: "session_summaries")
        let accessUses = try uses(of: ["kind", "id"], in: "access_records")
        for table in [
            "compute_summaries", "compute_labels", "session_summaries", "access_records", "webhooks",
            "secret_summaries",
            "filesystem_summaries", "template_summaries", "template_revisions", "pool_summaries", "usage_days",
        ] {
            try db.run(script: "DELETE FROM \(table)")
        }
        var (count, place) = (0, Log.Place.start)
        if let end = try log.last() {
            while place < end {
                let rows = try log.rows(after: place, to: end, limit: Self.batch)
                guard let last = rows.last else { break }
                try apply(rows.map(\.event))
                count += rows.count
                place = last.place
            }
        }
        try note(sessionUses, of: ["session_id"], in: "session_summaries")
        try note(accessUses, of: ["kind", "id"], in: "access_records")
        return count
    }

    /// Not from events, so it is carried over.
    private func uses(of keys: [String], in table: String) throws -> [(keys: [String], time: Int64)] {
        try db.readRows(
            sql: "SELECT \(keys.joined(separator: ", ")), last_used_at FROM \(table) WHERE last_used_at IS NOT NULL"
        ) { row in (try keys.map { try row.required($0) as String }, try row.required("last_used_at") as Int64) }
    }

    private func note(_ uses: [(keys: [String], time: Int64)], of keys: [String], in table: String) throws {
        let condition = keys.map { "\($0) = :\($0)" }.joined(separator: " AND ")
        for use in uses {
            var arguments: SQLArguments = ["time": use.time]
            for (key, value) in zip(keys, use.keys) { arguments.bind(key, to: value) }
            try db.run(sql: "UPDATE \(table) SET last_used_at = :time WHERE \(condition)", arguments: arguments)
        }
    }

    private func apply(_ events: [RecordedEvent]) throws {
        let summaries = SummarySQL(db: db)
        var changed: [ComputeID: ComputeSummary] = [:]
        // As it was written, of those whose labels may have changed since; nil: not at all.
        var written: [ComputeID: ComputeSummary?] = [:]
        var usage: [GroupID: UsageByDay] = [:]
        for event in events {
            guard event.stream.category == StreamID.computeCategory, let id = ComputeID(event.stream.id) else {
                try ReadModels(db: db).update(event)
                continue
            }
            // The first one of a stream has nothing before it to look for.
            let before = try changed[id] ?? (event.version == 1 ? nil : summaries.summary(id, in: nil))
            if written[id] == nil, ComputeEvent.changesLabels(event.type) { written.updateValue(before, forKey: id) }
            let after = try ComputeSummary.applying(event, to: before)
            if let span = before?.closedSpan(by: event, after) { usage[event.group, default: [:]].add(span.byDay) }
            changed[id] = after
            try SessionSQL(db: db).update(event)
        }
        for (group, days) in usage { try UsageSQL(db: db).add(days, to: group) }
        for row in changed.values {
            try summaries.put(row)
            if let before = written[row.id] { try LabelSQL(db: db).replace(before, with: row) }
        }
    }
}

extension SQLLog {
    /// The last event of all, also one that readers do not see yet.
    func last() throws -> Place? {
        let newest = Self.order.split(separator: ", ").map { "\($0) DESC" }.joined(separator: ", ")
        return try db.readRows(
            sql: "SELECT \(Self.place) FROM events ORDER BY \(newest) LIMIT 1", Place.init(row:)
        ).first
    }

    func rows(after start: Place, to end: Place, limit: Int) throws -> [(event: RecordedEvent, place: Place)] {
        var (condition, arguments) = Self.range(after: start, to: end)
        arguments += ["limit": limit]
        return try db.readRows(
            sql: "SELECT \(Self.columns) FROM events WHERE \(condition) ORDER BY \(Self.order) LIMIT :limit",
            arguments: arguments
        ) { (event: try EventSQL.event($0), place: try Place(row: $0)) }
    }
}
