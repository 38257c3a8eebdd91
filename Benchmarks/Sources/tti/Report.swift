import Foundation

/// What was measured, as a table and as JSON.
struct Report {
    struct Row {
        var name: String
        var statistics: Statistics
    }
    struct Target {
        var name: String
        var measured: Double
        var limit: Double
        var unit: String
        var isMet: Bool { measured <= limit }
    }

    var rows: [Row] = []
    var targets: [Target] = []
    var stages: [(name: String, values: [String: Double])] = []
    var failures: [String] = []
    var facts: [String: String] = [:]

    mutating func add(_ name: String, _ series: Series) {
        rows.append(Row(name: name, statistics: series.statistics))
        stages.append((name, series.stages))
        failures += series.failures.prefix(3).map { "\(name): \($0)" }
        say(line(rows[rows.count - 1]))
    }
    mutating func add(_ name: String, _ statistics: Statistics) {
        rows.append(Row(name: name, statistics: statistics))
        say(line(rows[rows.count - 1]))
    }
    mutating func check(_ name: String, _ measured: Double, atMost limit: Double, _ unit: String) {
        targets.append(Target(name: name, measured: measured, limit: limit, unit: unit))
    }

    /// At once, also into a pipe: a run takes half an hour.
    private func say(_ line: String) { FileHandle.standardOutput.write(Data("\(line)\n".utf8)) }

    static let header =
        "series".padded(44) + ["ok", "median", "p95", "p99", "wall", "score"].map { $0.leftPadded(10) }.joined()

    private func line(_ row: Row) -> String {
        let s = row.statistics
        let numbers = [s.median, s.p95, s.p99, s.wall].map { text($0).leftPadded(10) }.joined()
        return row.name.padded(44) + "\(s.succeeded)/\(s.count)".leftPadded(10) + numbers
            + String(format: "%.2f", s.score).leftPadded(10)
    }

    private func text(_ value: Double) -> String { value.isFinite ? String(format: "%.1f", value) : "-" }

    var table: String {
        var lines = ["", "milliseconds; 5 % trimmed at each end", Self.header] + rows.map(line)
        lines += ["", "a create, stage by stage (median ms)"]
        for (name, values) in stages where !values.isEmpty {
            let parts = values.sorted { $0.key < $1.key }.map { "\($0.key) \(text($0.value))" }
            lines.append("\(name.padded(44))\(parts.joined(separator: " · "))")
        }
        lines += ["", "target".padded(60) + "measured".leftPadded(12) + "at most".leftPadded(12)]
        for target in targets {
            lines.append(
                target.name.padded(60) + text2(target.measured).leftPadded(12) + text2(target.limit).leftPadded(12)
                    + " \(target.unit.padded(6)) \(target.isMet ? "met" : "MISSED")")
        }
        if !failures.isEmpty { lines += ["", "failures"] + failures }
        return lines.joined(separator: "\n")
    }

    private func text2(_ value: Double) -> String { value.isFinite ? String(format: "%.2f", value) : "-" }

    var json: Data {
        get throws {
            func finite(_ value: Double) -> Any { value.isFinite ? value : NSNull() }
            let document: [String: Any] = [
                "facts": facts,
                "series": rows.map { row in
                    [
                        "name": row.name, "count": row.statistics.count, "succeeded": row.statistics.succeeded,
                        "median": finite(row.statistics.median), "p95": finite(row.statistics.p95),
                        "p99": finite(row.statistics.p99), "wall": finite(row.statistics.wall),
                        "score": row.statistics.score,
                    ] as [String: Any]
                },
                "stages": stages.map {
                    ["name": $0.name, "milliseconds": $0.values.mapValues(finite)] as [String: Any]
                },
                "targets": targets.map {
                    ["name": $0.name, "measured": finite($0.measured), "limit": $0.limit, "met": $0.isMet]
                        as [String: Any]
                },
                "failures": failures,
            ]
            return try JSONSerialization.data(withJSONObject: document, options: [.prettyPrinted, .sortedKeys])
        }
    }
}

extension String {
    fileprivate func padded(_ width: Int) -> String {
        padding(toLength: max(width, count), withPad: " ", startingAt: 0)
    }
    fileprivate func leftPadded(_ width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
}
