import ComputeCore
import Foundation
import Subprocess
import Testing

extension IsolationTests {
    @Test(.timeLimit(.minutes(2)), arguments: GVisorPair.available)
    func theInternetIsReachedWhereThatIsConfigured(_ pair: GVisorPair) async throws {
        let internet = try SharedSystems.internet
        try await SharedSystems.withCompute(on: pair) { compute in
            let page = try await compute.run("curl -sS --max-time 20 http://\(internet.publicTarget)/")
            #expect(page.stdout == "from far away", "\(page)")
        }
    }

    @Test(.timeLimit(.minutes(2)), arguments: GVisorPair.available, [false, true])
    func privateRangesAndLinkLocalAddressesAreClosedAlsoToRoot(_ pair: GVisorPair, asRoot: Bool) async throws {
        let internet = try SharedSystems.internet
        try await SharedSystems.withCompute(on: pair) { compute in
            let targets = internet.closedTargets + ["169.254.169.254:80", "169.254.169.254:\(StandInInternet.port)"]
            #expect(try await compute.reachable(targets, asRoot: asRoot) == [])
            let open = try await compute.reachable([internet.publicTarget], asRoot: asRoot, patience: 30)
            #expect(open == [internet.publicTarget])
        }
    }

    @Test(.timeLimit(.minutes(2)), arguments: GVisorPair.available, [false, true])
    func noPortOfTheMachineIsReachableUnderAnyOfItsAddresses(_ pair: GVisorPair, asRoot: Bool) async throws {
        try await SharedSystems.withCompute(on: pair) { compute in
            let bridge = "csdk\(Leftovers.tag(of: compute.system.dataDirectory))"
            let links = try await HostCommand.output("ip", ["-4", "-o", "addr", "show"])
            let addresses = links.split(separator: "\n").compactMap { line -> String? in
                let fields = line.split(separator: " ")
                return fields.count > 3 ? String(fields[3].prefix { $0 != "/" }) : nil
            }
            #expect(links.contains(bridge))
            let listener = try OpenPort()
            let served = try #require(URL(string: compute.url)?.port)
            #expect(try await OpenPort.connects("127.0.0.1", listener.port))
            let targets = addresses.flatMap { address in [listener.port, served].map { "\(address):\($0)" } }
            #expect(try await compute.reachable(targets, asRoot: asRoot) == [])
        }
    }

    @Test(.timeLimit(.minutes(2)), arguments: GVisorPair.available, [false, true])
    func noOtherComputeIsReachable(_ pair: GVisorPair, asRoot: Bool) async throws {
        try await SharedSystems.withCompute(on: pair) { server in
            let address = try await server.address()
            try await server.run("nohup python3 -m http.server 9000 --bind 0.0.0.0 >/dev/null 2>&1 & true")
                .requireSuccess()
            try await eventually("it serves") { try await server.reachable(["\(address):9000"]) == ["\(address):9000"] }
            // The machine itself reaches it, so only the rules keep a neighbour away.
            #expect(try await OpenPort.connects(address, 9000))
            try await SharedSystems.withCompute(on: pair) { neighbour in
                let own = try await neighbour.address()
                #expect(own != address)
                let targets = [9000, 18080, 18081].map { "\(address):\($0)" }
                let reached = try await neighbour.reachable(targets, asRoot: asRoot)
                #expect(reached == [])
            }
        }
    }

    @Test(.timeLimit(.minutes(2)), arguments: GVisorPair.available)
    func thereIsNoIPv6BesidesLoopback(_ pair: GVisorPair) async throws {
        try await SharedSystems.withCompute(on: pair) { compute in
            let outcome = try await compute.python(
                """
                import socket
                for address in ["2001:db8::1", "fe80::1%eth0", "ff02::1%eth0", "64:ff9b::cb00:7109", "::ffff:10.0.0.1"]:
                    try:
                        target = socket.getaddrinfo(address, 8080, type=socket.SOCK_STREAM)[0][4]
                        s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
                        s.settimeout(3)
                        s.connect(target)
                        print("reached", address)
                    except OSError:
                        pass
                """)
            #expect(outcome.exitCode == 0 && outcome.stdout == "", "\(outcome)")
            let addresses = try await compute.run("cat /proc/net/if_inet6 2>/dev/null; true")
            for line in addresses.stdout.split(separator: "\n") { #expect(line.hasSuffix(" lo"), "\(line)") }
        }
    }

    @Test(.timeLimit(.minutes(2)), arguments: GVisorPair.available)
    func nobodyForgesPacketsAlsoNotRoot(_ pair: GVisorPair) async throws {
        try await SharedSystems.withCompute(on: pair) { compute in
            let outcome = try await compute.python(
                """
                import socket
                for family, kind, protocol in [
                    (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP), (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW),
                    (socket.AF_PACKET, socket.SOCK_RAW, 0x0300), (socket.AF_PACKET, socket.SOCK_DGRAM, 0x0300),
                ]:
                    try:
                        socket.socket(family, kind, protocol)
                        print("opened", family, kind)
                    except OSError:
                        pass
                """, asRoot: true)
            #expect(outcome.exitCode == 0 && outcome.stdout == "", "\(outcome)")
        }
    }
}

/// Without root or runsc it is skipped, as the suite above.
@Suite(.serialized, .enabled(if: !GVisorPair.available.isEmpty)) struct NoInternetTests {
    @Test(.timeLimit(.minutes(5))) func aSystemWithoutInternetGivesComputesThatReachNothing() async throws {
        let pair = try #require(GVisorPair.available.first)
        let internet = try await StandInInternet.make()
        let system = ServedSystem(
            .gvisor(pair), settings: ["COMPUTESDK_INTERNET": "false", "COMPUTESDK_POOL_SIZE": "0"])
        do {
            let status = try await system.run { running in
                let compute = try await ServedCompute.create(system, try await running.url())
                #expect(await compute.answers())
                #expect(try await compute.reachable([internet.publicTarget] + internet.closedTargets) == [])
                running.signal(SIGTERM)
            }
            #expect(status == .exited(0), "\(system.said)")
        } catch {
            await internet.remove()
            throw error
        }
        await internet.remove()
        let left = await Leftovers(of: system.dataDirectory)
        #expect(left.isEmpty, "\(left)")
    }
}
