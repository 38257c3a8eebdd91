import ComputeCore
import Foundation
import Subprocess
import Testing

/// A place beyond this machine: a network namespace with addresses of several kinds, routed there by this machine, and
/// a server on each. The machine itself reaches all of them, so who does not is kept from it.
///
/// ```
///   computes ── bridge ── this machine ──veth── namespace: 203.0.113.x, 198.51.100.x, 10.x, 172.x, 192.168.x, 100.x, 169.254.x
/// ```
struct StandInInternet: Sendable {
    static let port = 8080
    /// Looks like any address of the internet (RFC 5737).
    let publicAddress: String
    /// As far away, and in another block.
    let otherPublicAddress: String
    let privateAddresses: [String]
    let linkLocalAddress: String
    private let name: String
    private let server: Task<Void, Never>

    var closedTargets: [String] { (privateAddresses + [linkLocalAddress]).map { "\($0):\(Self.port)" } }
    var publicTarget: String { "\(publicAddress):\(Self.port)" }
    var otherPublicTarget: String { "\(otherPublicAddress):\(Self.port)" }

    static func make() async throws -> StandInInternet {
        // Two at once may draw the same number for an address.
        for _ in 0..<5 {
            if let made = try? await attempt() { return made }
        }
        return try await attempt()
    }

    private static func attempt() async throws -> StandInInternet {
        // Random, so that runs side by side are not in each other's way.
        let label = String.randomLabel(length: 6)
        let name = "away-\(label)"
        let number = Int.random(in: 3...250)
        let (third, outer) = (Int.random(in: 1...250), number & ~1)
        let publicAddress = "203.0.113.\(number)"
        let otherPublicAddress = "198.51.100.\(number)"
        let privateAddresses = [
            "10.253.\(third).\(number)", "172.30.\(third).\(number)", "192.168.\(third).\(number)",
            "100.90.\(third).\(number)",
        ]
        let linkLocalAddress = "169.254.\(third).\(number)"
        let all = [publicAddress, otherPublicAddress, linkLocalAddress] + privateAddresses
        try await HostCommand.output("ip", ["netns", "add", name])
        do {
            let (near, far) = ("awh\(label)", "awf\(label)")
            try await HostCommand.output(
                "ip", ["link", "add", near, "type", "veth", "peer", "name", far, "netns", name])
            // Addresses of RFC 2544's range, which nothing else has.
            let (nearAddress, farAddress) = ("198.18.\(third).\(outer)", "198.18.\(third).\(outer + 1)")
            try await HostCommand.output("ip", ["addr", "add", "\(nearAddress)/31", "dev", near])
            try await HostCommand.output("ip", ["link", "set", near, "up"])
            for words in [
                ["addr", "add", "\(farAddress)/31", "dev", far], ["link", "set", far, "up"],
                ["link", "set", "lo", "up"],
                ["route", "add", "default", "via", nearAddress],
            ] { try await HostCommand.output("ip", ["-n", name] + words) }
            for address in all {
                try await HostCommand.output("ip", ["-n", name, "addr", "add", "\(address)/32", "dev", "lo"])
                try await HostCommand.output("ip", ["route", "add", "\(address)/32", "via", farAddress])
            }
        } catch {
            _ = try? await HostCommand.output("ip", ["netns", "del", name])
            throw error
        }
        let server = Task {
            _ = try? await Subprocess.run(
                .name("nsenter"),
                arguments: [
                    "--net=/run/netns/\(name)", "python3", "-c",
                    """
                    import http.server
                    class Answer(http.server.BaseHTTPRequestHandler):
                        def do_GET(self):
                            self.send_response(200)
                            self.end_headers()
                            self.wfile.write(b"from far away")
                        def log_message(self, *words):
                            pass
                    http.server.ThreadingHTTPServer(("0.0.0.0", \(port)), Answer).serve_forever()
                    """,
                ], input: .none, output: .discarded, error: .discarded)
        }
        let made = StandInInternet(
            publicAddress: publicAddress, otherPublicAddress: otherPublicAddress, privateAddresses: privateAddresses,
            linkLocalAddress: linkLocalAddress, name: name, server: server)
        // What the machine cannot reach would prove nothing about computes.
        for address in all {
            try await eventually("this machine reaches \(address)") {
                (try? await HostCommand.output(
                    "python3",
                    ["-c", "import socket; socket.create_connection(('\(address)', \(port)), 2).close()"])) != nil
            }
        }
        return made
    }

    func remove() async {
        server.cancel()
        await server.value
        // The cable goes with its other end, the routes with the cable.
        _ = try? await HostCommand.output("ip", ["netns", "del", name])
    }
}
