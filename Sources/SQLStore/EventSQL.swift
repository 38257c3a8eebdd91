import ComputeCore
import EventSourcing

/// Reading the log.
struct EventSQL {
    let db: any SQLConnection

    static let columns =
        "global_position, stream_id, version, group_id, type, data, metadata, occurred_at"

    func events(of stream: StreamID) throws -> [RecordedEvent] {
        try db.readRows(
            sql: "SELECT \(Self.columns) FROM events WHERE stream_id = :stream ORDER BY version",
            arguments: ["stream": stream.rawValue], Self.event)
    }

    static func event(_ row: any SQLRow) throws -> RecordedEvent {
        RecordedEvent(
            position: try row.required("global_position"),
            stream: try row.requiredParsed("stream_id", StreamID.init(rawValue:)),
            version: try row.required("version"), group: GroupID(try row.required("group_id")),
            type: try row.required("type"), data: try row.json("data"), metadata: try row.json("metadata"),
            occurredAt: WallTime(milliseconds: try row.required("occurred_at")))
    }
}
