import ComputeCore
import ComputeDomain
import EventSourcing

/// Takes finished histories out of the log, whole: what is left is as it was written, and a rebuild gives the read models
/// that are there.
struct RetentionSQL {
    let db: any SQLConnection

    /// Streams that are over, with nothing in them since `time`.
    /// - Returns: each with the version of its last event.
    func finished(before time: WallTime, limit: Int) throws -> [(stream: StreamID, version: Int)] {
        // A compute and what belongs to it; sessions, keys and links that nobody remembers; webhooks, filesystems, templates and
        // pools that were deleted.
        // A secret's history stays also when it was deleted: its versions go on from there.
        try db.readRows(
            sql: """
                SELECT stream_id, max(version) AS version FROM events
                WHERE (stream_id IN (
                    SELECT 'compute-' || compute_id FROM compute_summaries WHERE state = 'ended' AND ended_at < :time
                  ) OR stream_id IN (
                    SELECT 'custom-' || compute_id FROM compute_summaries WHERE state = 'ended' AND ended_at < :time
                  ) OR (stream_id > 'session-' AND stream_id < 'session.' AND stream_id NOT IN (
                    SELECT 'session-' || session_id FROM session_summaries
                  )) OR (stream_id > 'magiclink-' AND stream_id < 'magiclink.')
                  OR (stream_id > 'apisession-' AND stream_id < 'apisession.' AND stream_id NOT IN (
                    SELECT 'apisession-' || id FROM access_records WHERE kind = 'session'
                  ))
                  OR (stream_id > 'apikey-' AND stream_id < 'apikey.' AND stream_id NOT IN (
                    SELECT 'apikey-' || id FROM access_records WHERE kind = 'key'
                  ))
                  OR (stream_id > 'webhook-' AND stream_id < 'webhook.' AND stream_id NOT IN (
                    SELECT 'webhook-' || webhook_id FROM webhooks
                  ))
                  OR (stream_id > 'filesystem-' AND stream_id < 'filesystem.' AND stream_id NOT IN (
                    SELECT 'filesystem-' || filesystem_id FROM filesystem_summaries
                  ))
                  OR (stream_id > 'template-' AND stream_id < 'template.' AND stream_id NOT IN (
                    SELECT 'template-' || template_id FROM template_summaries
                  ))
                  OR (stream_id > 'pool-' AND stream_id < 'pool.' AND stream_id NOT IN (
                    SELECT 'pool-' || pool_id FROM pool_summaries
                  )))
                GROUP BY stream_id HAVING max(occurred_at) < :time
                ORDER BY stream_id DESC LIMIT :limit
                """, arguments: ["time": time.milliseconds, "limit": limit]
        ) { (try $0.requiredParsed("stream_id", StreamID.init(rawValue:)), try $0.required("version")) }
    }

    /// - Returns: how many events were removed; 0 when something was appended since.
    func remove(_ stream: StreamID, version: Int) throws -> Int {
        guard try CommitSQL(db: db).version(of: stream) == version else { return 0 }
        // Events of its program go before the compute itself, whose row says that it is over.
        if stream.category == StreamID.computeCategory {
            let hasCustom = try CommitSQL(db: db).version(
                of: StreamID(category: StreamID.customCategory, id: stream.id))
            guard hasCustom == 0 else { return 0 }
            // What it took stays counted.
            let history = try EventSQL(db: db).events(of: stream)
            if let group = history.first?.group {
                try UsageSQL(db: db).keep(try ComputeSummary.usage(of: history), of: group)
            }
            if let id = ComputeID(stream.id), let row = try SummarySQL(db: db).summary(id, in: nil) {
                try LabelSQL(db: db).replace(row, with: nil)
            }
            try db.run(
                sql: "DELETE FROM compute_summaries WHERE compute_id = :id", arguments: ["id": stream.id])
            try db.run(
                sql: "DELETE FROM unique_holds WHERE scope = 'idempotency' AND owner = :id",
                arguments: ["id": stream.id])
        }
        try db.run(sql: "DELETE FROM snapshots WHERE stream_id = :stream", arguments: ["stream": stream.rawValue])
        return try db.readRows(
            // What was appended this very moment is in no archive.
            sql: "DELETE FROM events WHERE stream_id = :stream AND version <= :version RETURNING version",
            arguments: ["stream": stream.rawValue, "version": version]
        ) { try $0.required("version") as Int }.count
    }
}
