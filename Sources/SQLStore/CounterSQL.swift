import ComputeCore
import EventSourcing

/// Counters, and the limits that are theirs alone.
struct CounterSQL {
    let db: any SQLConnection

    func counter(_ name: CounterName) throws -> Int64 {
        try db.readRows(
            sql: "SELECT value FROM counters WHERE group_id = :group AND name = :name",
            arguments: ["group": name.group.rawValue, "name": name.name]
        ) { try $0.required("value") as Int64 }.first ?? 0
    }

    func counters(in group: GroupID) throws -> [String: CounterState] {
        let rows = try db.readRows(
            sql: "SELECT name, value, own_limit FROM counters WHERE group_id = :group",
            arguments: ["group": group.rawValue]
        ) { (try $0.required("name") as String, try CounterState(row: $0)) }
        return Dictionary(uniqueKeysWithValues: rows)
    }

    func set(_ limit: CounterLimit) throws {
        try db.run(
            sql: """
                INSERT INTO counters (group_id, name, value, own_limit) VALUES (:group, :name, 0, :limit)
                ON CONFLICT (group_id, name) DO UPDATE SET own_limit = excluded.own_limit
                """,
            arguments: [
                "group": limit.counter.group.rawValue, "name": limit.counter.name, "limit": limit.limit,
            ])
    }

    /// - Returns: the limit that it would rise above; nil when it moved.
    func move(_ move: CounterMove, at now: WallTime) throws -> Int64? {
        // Added by the database, which lets nobody else at the row until this commit is through: what was read before
        // could be out of date. A pace adds nothing yet, and has the row to itself all the same.
        let added = move.period == nil ? move.delta : 0
        let after = try db.readRows(
            sql: """
                INSERT INTO counters (group_id, name, value) VALUES (:group, :name, :delta)
                ON CONFLICT (group_id, name) DO UPDATE SET value = counters.value + excluded.value
                RETURNING value, own_limit
                """,
            arguments: ["group": move.counter.group.rawValue, "name": move.counter.name, "delta": added],
            CounterState.init(row:))[0]
        let before = CounterState(value: after.value - added, ownLimit: after.ownLimit)
        guard let value = move.applied(to: before, at: now) else { return move.limit(of: before) ?? .max }
        guard value != after.value else { return nil }
        try db.run(
            sql: "UPDATE counters SET value = :value WHERE group_id = :group AND name = :name",
            arguments: ["group": move.counter.group.rawValue, "name": move.counter.name, "value": value])
        return nil
    }
}

extension CounterState {
    fileprivate init(row: any SQLRow) throws {
        self.init(value: try row.required("value"), ownLimit: try row.optional("own_limit"))
    }
}
