import ComputeCore
import ComputeDomain
import EventSourcing

/// What groups took, by day. Two tables of one form: what follows from the log, and what histories took that left it.
struct UsageSQL {
    let db: any SQLConnection

    private enum Table: String { case days = "usage_days", kept = "usage_kept" }

    func add(_ usage: UsageByDay, to group: GroupID) throws { try add(usage, to: group, in: .days) }

    /// What the history of a compute took that is about to leave the log: the sum stays, and so does what a rebuild gives.
    ///
    /// Of what went on or was over before there were these tables, less was counted than its history says. That comes to
    /// the sum now, and no day becomes less than nothing.
    func keep(_ usage: UsageByDay, of group: GroupID) throws {
        try add(usage, to: group, in: .kept)
        for (day, amount) in usage.sorted(by: { $0.key < $1.key }) {
            let columns: [(String, Int64)] = [
                ("compute_ms", amount.compute), ("cpu_ms", amount.cpu), ("memory_ms", amount.memory),
            ]
            var arguments: SQLArguments = ["group": group.rawValue, "day": day.number]
            for (name, taken) in columns { arguments.bind(name, to: taken) }
            let left = columns.map { "\($0.0) = CASE WHEN \($0.0) > :\($0.0) THEN \($0.0) - :\($0.0) ELSE 0 END" }
            try db.run(
                sql: """
                    UPDATE usage_days SET \(left.joined(separator: ", ")) WHERE group_id = :group AND day = :day
                    """, arguments: arguments)
            // As if there had never been anything.
            try db.run(
                sql: """
                    DELETE FROM usage_days WHERE group_id = :group AND day = :day
                    AND compute_ms = 0 AND cpu_ms = 0 AND memory_ms = 0
                    """,
                arguments: ["group": group.rawValue, "day": day.number])
        }
    }

    private func add(_ usage: UsageByDay, to group: GroupID, in table: Table) throws {
        // In one order, so that two commits never wait for each other.
        for (day, amount) in usage.sorted(by: { $0.key < $1.key }) {
            try db.run(
                sql: """
                    INSERT INTO \(table.rawValue) (group_id, day, compute_ms, cpu_ms, memory_ms)
                    VALUES (:group, :day, :compute, :cpu, :memory)
                    ON CONFLICT (group_id, day) DO UPDATE SET
                    compute_ms = \(table.rawValue).compute_ms + excluded.compute_ms,
                    cpu_ms = \(table.rawValue).cpu_ms + excluded.cpu_ms,
                    memory_ms = \(table.rawValue).memory_ms + excluded.memory_ms
                    """,
                arguments: [
                    "group": group.rawValue, "day": day.number, "compute": amount.compute, "cpu": amount.cpu,
                    "memory": amount.memory,
                ])
        }
    }

    /// One statement, so that what ends this very moment is either going on or over, and not both.
    private static let select = """
        SELECT 'over' AS kind, day AS place, compute_ms AS a, cpu_ms AS b, memory_ms AS c FROM usage_days
        WHERE group_id = :group AND day >= :first AND day <= :last
        UNION ALL
        SELECT 'over', day, compute_ms, cpu_ms, memory_ms FROM usage_kept
        WHERE group_id = :group AND day >= :first AND day <= :last
        UNION ALL
        SELECT state, metered_since, 0, cpu_thousandths, memory_mib FROM compute_summaries
        WHERE group_id = :group AND state <> 'ended' AND state <> 'stopped' AND metered_since IS NOT NULL
        """

    func usage(
        of group: GroupID, from first: UsageDay, through last: UsageDay, at now: WallTime
    ) throws -> UsageByDay {
        let rows = try db.readRows(
            sql: Self.select, arguments: ["group": group.rawValue, "first": first.number, "last": last.number]
        ) { row -> UsageByDay in
            let (kind, place): (String, Int64) = (try row.required("kind"), try row.required("place"))
            let (a, b, c): (Int64, Int64, Int64) = (
                try row.required("a"), try row.required("b"), try row.required("c")
            )
            guard kind != "over" else {
                return [UsageDay(number: place): UsageAmount(compute: a, cpu: b, memory: c)]
            }
            return UsageSpan(
                from: WallTime(milliseconds: place), until: now, size: MeteredSize(cpuThousandths: b, memoryMiB: c),
                isPaused: kind == ComputeSummary.State.paused.rawValue
            ).byDay.filter { (first...last).contains($0.key) }
        }
        return rows.reduce(into: [:]) { $0.add($1) }
    }
}
