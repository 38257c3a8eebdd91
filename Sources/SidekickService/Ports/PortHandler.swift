import ComputeCore
import LinuxSystem
import NIOHTTP1

/// `GET /ports`: what listens in the compute now.
struct PortHandler: Sendable {
    let monitor: PortMonitor

    var routes: [SidekickRoute] {
        [SidekickRoute(.GET, "/ports") { request in await list(request.compute) }]
    }

    private func list(_ compute: ComputeContext) async -> SidekickAnswer {
        let ports = await monitor.listeners().map { listener -> JSONValue in
            var fields: [String: JSONValue] = [
                "port": .int(Int64(listener.port)), "loopback": .bool(listener.isLoopbackOnly),
            ]
            fields["url"] = compute.portURL(listener.port).map(JSONValue.string)
            if let owner = listener.owner {
                fields["pid"] = .int(Int64(owner.pid))
                fields["process"] = ProcessService.command(of: owner.pid).map(JSONValue.string)
            }
            return .object(fields)
        }
        return .success("ports", data: ["ports": .array(ports)])
    }
}

extension ComputeContext {
    /// Where a port can be reached from outside; nil where ports have no URL.
    package func portURL(_ port: Int) -> String? {
        portURLTemplate.map { $0.replacing("{port}", with: "\(port)") }
    }
}
