package import APIContract
package import ComputeCore
import SidekickProtocol

/// Which address a port of a compute is dialled at, and which are refused: a user names the port, so it must
/// not lead to anything but his own code.
package enum PortDial {
    /// - Parameter own: where the Gateway itself and the API behind it listen.
    package static func endpoint(for route: RouteRecord, port: Int, own: [Endpoint]) throws(Problem) -> Endpoint {
        // A Sidekick obeys whoever reaches it with its secret, and must not be reached around the token check.
        var sidekick: Set = [SidekickPorts.requests, SidekickPorts.claims]
        if case .tcp(_, let port)? = route.sidekick { sidekick.insert(port) }
        guard !sidekick.contains(port) else { throw .notFound("no such port") }
        guard let host = route.portHost else {
            throw .unavailable("the sandbox has no address for ports yet")
        }
        for case .tcp(_, port) in own where Endpoint.tcp(host: host, port: port).isLoopback {
            throw Problem(status: 403, code: .forbidden, message: "port \(port) is not the sandbox's")
        }
        guard !isForbidden(host) else {
            throw Problem(status: 502, code: .badGateway, message: "the sandbox has no address that ports may use")
        }
        return .tcp(host: host, port: port)
    }

    /// Link-local addresses (a cloud's metadata service lives there) and "any address", which is ourselves.
    private static func isForbidden(_ host: String) -> Bool {
        let host = host.hasPrefix("::ffff:") ? String(host.dropFirst(7)) : host.lowercased()
        return host.hasPrefix("169.254.") || host.hasPrefix("fe80:") || host.hasPrefix("0.") || host == "::"
    }
}
