import ComputeCore
import EventSourcing

/// Snapshots of streams. Losing one loses nothing.
struct SnapshotSQL {
    let db: any SQLConnection

    func snapshot(of stream: StreamID) throws -> Snapshot? {
        try db.readRows(
            sql: "SELECT version, events FROM snapshots WHERE stream_id = :stream",
            arguments: ["stream": stream.rawValue]
        ) { row in
            guard case .array(let list) = try row.document("events") else { throw Self.corrupt }
            return Snapshot(
                stream: stream, version: try row.required("version"), events: try list.map(Self.event))
        }.first
    }

    private static func event(_ document: JSONValue) throws(EventStoreError) -> NewEvent {
        guard case .object(let fields) = document, case .string(let type)? = fields["type"],
            case .int(let schema)? = fields["schema"], let data = fields["data"]
        else { throw corrupt }
        return NewEvent(type: type, data: try Upcasting.known.current(data, of: type, schema: Int(schema)))
    }

    private static let corrupt = EventStoreError(.corrupt, "a snapshot cannot be read")

    /// An older one than what is there changes nothing: somebody else was faster.
    func save(_ snapshot: Snapshot) throws {
        let events = snapshot.events.map { event in
            JSONValue.object([
                "type": .string(event.type), "data": event.data,
                "schema": .int(Int64(Upcasting.known.schema(of: event.type))),
            ])
        }
        try db.run(
            sql: """
                INSERT INTO snapshots (stream_id, version, events) VALUES (:stream, :version, :events)
                ON CONFLICT (stream_id) DO UPDATE SET version = excluded.version, events = excluded.events
                WHERE snapshots.version < excluded.version
                """,
            arguments: [
                "stream": snapshot.stream.rawValue, "version": snapshot.version,
                "events": try jsonText(.array(events)),
            ])
    }
}
