import Glibc
import LinuxHost
import Testing

/// What containers reach and what not, tried with real connections. A namespace of its own plays the internet, a
/// metadata service and private networks, all routed through this machine as the real ones would be.
@Suite(
    .serialized, .timeLimit(.minutes(2)),
    .enabled(if: networksCanBeTested, "needs root, iproute2, nftables and the CNI plugins"))
struct NetworkPolicyTests {
    @Test func theInternetIsReachedUnderTheMachinesAddressAndNothingCloserIs() async throws {
        try await withWorld { world in
            try await withNetwork { network in
                try await network.prepare()
                let inside = try await network.attach("a").namespacePath
                let server = try NamespaceSocket.listening(in: World.namespace, at: "0.0.0.0")
                #expect(try NamespaceSocket.reaches(World.internet, port: server.port, from: inside))
                #expect(server.next(patience: 5000)?.peer == World.gateway)
                for address in World.closed {
                    // The machine itself reaches it: so it is the rules that keep the container out.
                    #expect(try NamespaceSocket.reaches(address, port: server.port, from: nil))
                    #expect(try NamespaceSocket.connect(from: inside, to: address, port: server.port) != .connected)
                }
            }
        }
    }

    @Test func thePortsOfTheMachineAreClosedUnderEachOfItsAddresses() async throws {
        try await withWorld { world in
            try await withNetwork { network in
                try await network.prepare()
                let end = try await network.attach("a")
                let server = try NamespaceSocket.listening(in: nil, at: "0.0.0.0")
                let datagrams = try NamespaceSocket.listening(in: nil, at: "0.0.0.0", datagrams: true)
                let wide = try NamespaceSocket.listening(in: nil, at: "::", port: 0)
                for address in [end.gateway, World.gateway] {
                    #expect(try NamespaceSocket.reaches(address, port: server.port, from: nil))
                    #expect(
                        try NamespaceSocket.connect(from: end.namespacePath, to: address, port: server.port)
                            != .connected)
                    #expect(
                        try NamespaceSocket.connect(from: end.namespacePath, to: address, port: wide.port) != .connected
                    )
                    try NamespaceSocket.send("x", from: end.namespacePath, to: address, port: datagrams.port)
                }
                try NamespaceSocket.send("mine", from: nil, to: end.gateway, port: datagrams.port)
                #expect(datagrams.next(patience: 5000)?.text == "mine")
                #expect(datagrams.next(patience: 0) == nil)
            }
        }
    }

    @Test func theMachineReachesContainersAndNeighboursDoNot() async throws {
        try await withNetwork { network in
            try await network.prepare()
            let a = try await network.attach("a")
            let b = try await network.attach("b")
            let server = try NamespaceSocket.listening(in: b.namespacePath, at: "0.0.0.0")
            #expect(try NamespaceSocket.reaches(b.address, port: server.port, from: nil))
            #expect(try NamespaceSocket.connect(from: a.namespacePath, to: b.address, port: server.port) != .connected)
            // Not even its hardware address is learned.
            let known = try await Tools.ofThisProcess.run("ip", ["-n", name(a), "neigh", "show", b.address])
            #expect(!known.standardOutput.contains("lladdr"))
            // With the neighbour's hardware address known, so that no question has to be answered; and by way of the
            // machine.
            let hardware = IPv4Network.hardwareAddress(of: try #require(IPv4Network.address(b.address)))
            try await ip(a, "neigh replace \(b.address) lladdr \(hardware) nud permanent dev eth0")
            #expect(try NamespaceSocket.connect(from: a.namespacePath, to: b.address, port: server.port) != .connected)
            try await ip(a, "neigh del \(b.address) dev eth0")
            try await ip(a, "route add \(b.address) via \(a.gateway)")
            #expect(try NamespaceSocket.connect(from: a.namespacePath, to: b.address, port: server.port) != .connected)
        }
    }

    @Test func nothingPassesOverIPv6EvenWithAddresses() async throws {
        try await withNetwork { network in
            try await network.prepare()
            let a = try await network.attach("a")
            let b = try await network.attach("b")
            let addresses = try await Tools.ofThisProcess.run(
                "ip", ["-n", name(a), "-6", "-o", "addr", "show", "dev", "eth0"])
            #expect(addresses.standardOutput == "")
            for (end, address) in [(a, "fd77::a"), (b, "fd77::b")] {
                try NamespaceSocket.inside(end.namespacePath) {
                    for scope in ["all", "eth0"] {
                        let file = open("/proc/sys/net/ipv6/conf/\(scope)/disable_ipv6", O_WRONLY | O_CLOEXEC)
                        defer { close(file) }
                        _ = write(file, "0", 1)
                    }
                }
                try await ip(end, "addr add \(address)/64 dev eth0 nodad")
            }
            let server = try NamespaceSocket.listening(in: b.namespacePath, at: "::")
            #expect(
                try NamespaceSocket.connectOnceRouted(from: b.namespacePath, to: "fd77::b", port: server.port)
                    == .connected)
            #expect(try NamespaceSocket.connect(from: a.namespacePath, to: "fd77::b", port: server.port) != .connected)
            // The machine itself given an address on the bridge: as an administrator might.
            let bridge = network.bridge
            let file = open("/proc/sys/net/ipv6/conf/\(bridge)/disable_ipv6", O_WRONLY | O_CLOEXEC)
            _ = write(file, "0", 1)
            close(file)
            try await Tools.ofThisProcess.run("ip", ["addr", "add", "fd77::1/64", "dev", bridge, "nodad"])
            let host = try NamespaceSocket.listening(in: nil, at: "fd77::1")
            #expect(
                try NamespaceSocket.connectOnceRouted(from: nil, to: "fd77::1", port: host.port) == .connected)
            #expect(try NamespaceSocket.connect(from: a.namespacePath, to: "fd77::1", port: host.port) != .connected)
        }
    }

    @Test func nobodySpeaksInANeighboursName() async throws {
        try await withWorld { world in
            try await withNetwork { network in
                try await network.prepare()
                let a = try await network.attach("a")
                let b = try await network.attach("b")
                let mailbox = try NamespaceSocket.listening(in: World.namespace, at: "0.0.0.0", datagrams: true)
                let server = try NamespaceSocket.listening(in: b.namespacePath, at: "0.0.0.0")
                try NamespaceSocket.send("honest", from: a.namespacePath, to: World.internet, port: mailbox.port)
                #expect(mailbox.next(patience: 5000)?.text == "honest")

                // The neighbour's address under the own hardware address, then both the neighbour's.
                let length = "22"
                try await ip(a, "addr flush dev eth0")
                try await ip(a, "addr add \(b.address)/\(length) dev eth0")
                try await ip(a, "route add default via \(a.gateway)")
                try NamespaceSocket.send("forged", from: a.namespacePath, to: World.internet, port: mailbox.port)
                let hardware = IPv4Network.hardwareAddress(of: try #require(IPv4Network.address(b.address)))
                try await ip(a, "link set dev eth0 address \(hardware)")
                // Nobody answers its question for the gateway any more; an attacker knows the answer.
                let gateway = IPv4Network.hardwareAddress(of: try #require(IPv4Network.address(a.gateway)))
                try await ip(a, "neigh replace \(a.gateway) lladdr \(gateway) nud permanent dev eth0")
                try NamespaceSocket.send("forged twice", from: a.namespacePath, to: World.internet, port: mailbox.port)

                // What is meant for the neighbour still goes to the neighbour, who is heard.
                #expect(try NamespaceSocket.reaches(b.address, port: server.port, from: nil))
                try NamespaceSocket.send("neighbour", from: b.namespacePath, to: World.internet, port: mailbox.port)
                #expect(mailbox.next(patience: 5000)?.text == "neighbour")
                #expect(mailbox.next(patience: 0) == nil)
            }
        }
    }

    @Test func aPrivateResolverIsAskedOnPort53AndNowhereElse() async throws {
        try await withWorld { world in
            try await withNetwork(dns: [World.resolver]) { network in
                try await network.prepare()
                let inside = try await network.attach("a").namespacePath
                let questions = try NamespaceSocket.listening(in: World.namespace, at: "0.0.0.0", port: 53)
                let other = try NamespaceSocket.listening(in: World.namespace, at: "0.0.0.0")
                #expect(try NamespaceSocket.reaches(World.resolver, port: 53, from: inside))
                #expect(try NamespaceSocket.connect(from: inside, to: World.resolver, port: other.port) != .connected)
                #expect(try NamespaceSocket.connect(from: inside, to: World.closed[0], port: 53) != .connected)
                withExtendedLifetime(questions) {}
            }
        }
    }

    @Test func withoutInternetNothingIsReachedAndTheMachineStillGetsIn() async throws {
        try await withWorld { world in
            try await withNetwork(internet: false, dns: [World.resolver]) { network in
                try await network.prepare()
                let end = try await network.attach("a")
                let server = try NamespaceSocket.listening(in: World.namespace, at: "0.0.0.0")
                let questions = try NamespaceSocket.listening(in: World.namespace, at: "0.0.0.0", port: 53)
                for address in [World.internet, World.resolver] + World.closed {
                    #expect(
                        try NamespaceSocket.connect(from: end.namespacePath, to: address, port: server.port)
                            != .connected)
                    #expect(try NamespaceSocket.connect(from: end.namespacePath, to: address, port: 53) != .connected)
                }
                let own = try NamespaceSocket.listening(in: end.namespacePath, at: "0.0.0.0")
                #expect(try NamespaceSocket.reaches(end.address, port: own.port, from: nil))
                withExtendedLifetime(questions) {}
            }
        }
    }

    private func name(_ end: HostNetwork.Attachment) -> String { String(end.namespacePath.split(separator: "/").last!) }

    private func ip(_ end: HostNetwork.Attachment, _ command: String) async throws {
        try await Tools.ofThisProcess.run("ip", ["-n", name(end)] + command.split(separator: " ").map(String.init))
    }
}
