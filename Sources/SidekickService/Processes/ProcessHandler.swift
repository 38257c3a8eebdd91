import ComputeCore
import LinuxSystem
import NIOHTTP1

/// `/processes`: what runs, and signals to it.
struct ProcessHandler: Sendable {
    let service: ProcessService

    var routes: [SidekickRoute] {
        [
            SidekickRoute(.GET, "/processes") { _ in
                let entries = try await service.list()
                return .success("processes", data: ["processes": .array(entries.map { .object(Self.document($0)) })])
            },
            SidekickRoute(.GET, "/processes/{pid}") { request in
                let fields = Self.document(try await service.get(try Self.pid(request)))
                return .success("process", data: fields.merging(["process": .object(fields)]) { own, _ in own })
            },
            SidekickRoute(.POST, "/processes/{pid}/signal") { request in
                let fields = try await request.fields()
                let number = try SignalNumber(fields, absent: .terminate)
                let group = try fields.bool("group") ?? false
                let pid = try Self.pid(request)
                let count = try await service.signal(pid, number, group: group, in: request.compute)
                return .success(
                    "signal sent",
                    data: [
                        "pid": .int(Int64(pid)), "signal": .int(Int64(number.rawValue)), "group": .bool(group),
                        "signalled": .int(Int64(count)),
                    ])
            },
        ]
    }

    private static func pid(_ request: SidekickRequest) throws(Problem) -> Int32 {
        guard let pid = Int32(request.parameters[0]), pid > 0 else {
            throw .invalid("pid", "pid must be a whole number above 0")
        }
        return pid
    }

    private static func document(_ entry: ProcessService.Entry) -> [String: JSONValue] {
        let seconds = Double(entry.line.ownTicks) / Double(KernelFigures.ticksPerSecond)
        var fields: [String: JSONValue] = [
            "pid": .int(Int64(entry.pid)), "ppid": .int(Int64(entry.line.parent)),
            "pgid": .int(Int64(entry.line.group)), "command": .string(entry.arguments.joined(separator: " ")),
            "args": .array(entry.arguments.map(JSONValue.string)), "state": .string(String(entry.line.state)),
            "cpu_seconds": .double(seconds),
            "rss_bytes": .int(Int64(entry.line.residentPages &* KernelFigures.pageSize)),
            "threads": .int(Int64(entry.line.threads)), "ports": .array(entry.ports.map { .int(Int64($0)) }),
        ]
        fields["uid"] = entry.uid.map { .int(Int64($0)) }
        fields["user"] = entry.user.map(JSONValue.string)
        fields["started_at"] = entry.startedAt.map { .string($0.rfc3339) }
        if let age = entry.age, age >= .milliseconds(10) {
            let percent = seconds / (Double(age.wholeMilliseconds) / 1000) * 100
            fields["cpu_percent"] = .double((percent * 10).rounded() / 10)
        }
        return fields
    }
}
