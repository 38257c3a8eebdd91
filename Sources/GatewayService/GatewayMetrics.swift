import HTTPServing
import Metrics
import NIOHTTP1

/// What the Gateway measures. Nothing is named after a compute: there are too many.
package enum GatewayMetrics {
    package static let helps = [
        requests: "Requests by where they went and the status that the client saw; `cut` when it saw none.",
        duration: "From a request's head to the end of its answer, by where it went. Without upgrades.",
        tunnels: "Upgraded connections that are open, such as WebSockets.",
    ]

    private static let requests = "computesdk_gateway_requests_total"
    private static let duration = "computesdk_gateway_request_duration_seconds"
    private static let tunnels = "computesdk_gateway_open_tunnels"

    static func answered(_ exchange: HTTPExchange, _ destination: Destination, in duration: Duration) {
        let status = exchange.responseStatus
        Counter(
            label: requests,
            dimensions: [
                ("destination", destination.kind), ("status", status.map { "\($0.code)" } ?? "cut"),
            ]
        ).increment()
        guard status != .switchingProtocols else { return }
        Timer(label: Self.duration, dimensions: [("destination", destination.kind)]).record(duration: duration)
    }

    static func countingTunnel(_ work: () async -> Void) async {
        let meter = Meter(label: tunnels)
        meter.increment()
        defer { meter.decrement() }
        await work()
    }
}

extension Destination {
    fileprivate var kind: String {
        switch self {
        case .api(computeHost: nil): "api"
        case .api(computeHost: .some): "auth"
        case .sidekick: "sidekick"
        case .port: "port"
        case .refused: "refused"
        }
    }
}
