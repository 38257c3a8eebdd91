import ComputeCore
import EventSourcing

/// Reading the log.
struct EventSQL {
    let db: any SQLConnection

    static let columns =
        "global_position, stream_id, version, group_id, type, schema_version, data, metadata, occurred_at"

    func events(of stream: StreamID, after version: Int = 0) throws -> [RecordedEvent] {
        try db.readRows(
            sql: "SELECT \(Self.columns) FROM events WHERE stream_id = :stream AND version > :after ORDER BY version",
            arguments: ["stream": stream.rawValue, "after": version], Self.event)
    }

    func event(of stream: StreamID, version: Int) throws -> RecordedEvent? {
        try db.readRows(
            sql: "SELECT \(Self.columns) FROM events WHERE stream_id = :stream AND version = :version",
            arguments: ["stream": stream.rawValue, "version": version], Self.event
        ).first
    }

    private static func metadata(_ row: any SQLRow) throws -> EventMetadata {
        guard let metadata = EventMetadata(try row.document("metadata")) else {
            throw EventStoreError(.corrupt, "the column metadata holds what it should not")
        }
        return metadata
    }

    static func event(_ row: any SQLRow) throws -> RecordedEvent {
        let type: String = try row.required("type")
        return RecordedEvent(
            position: try row.required("global_position"),
            stream: try row.requiredParsed("stream_id", StreamID.init(rawValue:)),
            version: try row.required("version"), group: GroupID(try row.required("group_id")),
            type: type,
            data: try Upcasting.known.current(
                try row.document("data"), of: type, schema: try row.required("schema_version")),
            metadata: try metadata(row),
            occurredAt: WallTime(milliseconds: try row.required("occurred_at")))
    }
}
