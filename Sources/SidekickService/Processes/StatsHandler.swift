import ComputeCore
import LinuxSystem
import NIOHTTP1

/// `GET /stats`: what the compute uses, for its client.
struct StatsHandler: Sendable {
    let service: StatsService

    var routes: [SidekickRoute] {
        [
            SidekickRoute(.GET, "/stats") { request in
                .success("resource use", data: Self.document(try await service.figures(for: request.compute)))
            }
        ]
    }

    private static func document(_ figures: StatsService.Figures) -> [String: JSONValue] {
        func rounded(_ value: Double) -> JSONValue { .double((value * 100).rounded() / 100) }
        var cpu: [String: JSONValue] = [
            "seconds": rounded(figures.cpuSeconds), "processors": .int(Int64(figures.processors)),
        ]
        cpu["percent"] = figures.cpuPercent.map(rounded)
        var memory: [String: JSONValue] = [:]
        memory["used_bytes"] = figures.memoryUsed.map { .int(Int64($0)) }
        memory["limit_bytes"] = figures.memoryLimit.map { .int(Int64($0)) }
        var disk: [String: JSONValue] = [:]
        disk["used_bytes"] = figures.diskUsed.map { .int(Int64($0)) }
        disk["size_bytes"] = figures.diskSize.map { .int(Int64($0)) }
        var network: [String: JSONValue] = [:]
        network["received_bytes"] = figures.traffic.map { .int(Int64(clamping: $0.received)) }
        network["sent_bytes"] = figures.traffic.map { .int(Int64(clamping: $0.sent)) }
        return [
            "cpu": .object(cpu), "memory": .object(memory), "disk": .object(disk), "network": .object(network),
            "processes": .int(Int64(figures.processes)),
            "uptime_seconds": rounded(Double(figures.uptime.wholeMilliseconds) / 1000),
        ]
    }
}
