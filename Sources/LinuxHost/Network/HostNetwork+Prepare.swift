import ComputeCore
import Glibc

extension HostNetwork {
    /// Makes the bridge, its addresses and the rules; what is there already is brought to the settings.
    /// - Returns: what does not work as set, in words for the log.
    @discardableResult
    package func prepare() async throws(HostError) -> [String] {
        for (tool, package) in [
            ("ip", "iproute2"), ("bridge", "iproute2"), ("nft", "nftables"),
        ]
        where tools.path(of: tool) == nil {
            throw HostError(.unavailable, "there is no '\(tool)' on this machine; Debian's package \(package) has it")
        }
        _ = try plugin("bridge")
        _ = try plugin("host-local")
        try DirectoryListing.make(settings.stateDirectory)
        var warnings: [String] = []
        let resolvers = settings.resolvers
        for text in settings.dns where !resolvers.contains(text) {
            warnings.append("containers cannot ask the resolver \(text)")
        }
        let subnet = try await chooseSubnet()
        try await prepareNamespaceDirectory()
        try await prepareBridge(subnet)
        try await inTurn { () async throws(HostError) in try await writeTable(subnet) }
        if settings.internet {
            try forwardPackets()
            if let warning = await openForeignFilter() { warnings.append(warning) }
        }
        return warnings
    }

    /// The table with the rules of all who are there. Whoever goes meanwhile would leave his to the next at his address.
    private func writeTable(_ subnet: IPv4Network) async throws(HostError) {
        let confined = confinements()
        var rules = FirewallRules(
            table: table, bridge: bridge, subnet: subnet, internet: settings.internet, resolvers: settings.resolvers)
        rules.confined = confined.map(\.confinement).filter { !$0.policy.isOpen }
        try await run("nft", ["-f", "-"], input: rules.script, "cannot write the packet filter's rules")
        for (name, confinement) in confined { try settle(name, confinement.policy) }
    }

    /// Removes everything, containers' ends included.
    package func teardown() async {
        for name in names() { _ = try? await detach(name) }
        _ = try? await tools.run("ip", ["link", "del", bridge], deadline: settings.deadline)
        _ = try? await tools.run(
            "nft", ["-f", "-"], input: "table inet \(table) {\n}\ndelete table inet \(table)\n",
            deadline: settings.deadline)
        await closeForeignFilter()
        stopForwarding()
        for file in DirectoryListing.names(in: "\(leaseDirectory)/\(bridge)") {
            unlink("\(leaseDirectory)/\(bridge)/\(file)")
        }
        rmdir("\(leaseDirectory)/\(bridge)")
        rmdir(leaseDirectory)
        for file in DirectoryListing.names(in: policyDirectory) { unlink("\(policyDirectory)/\(file)") }
        rmdir(policyDirectory)
        unlink(subnetFile)
        unlink("\(subnetFile).new")
        rmdir(settings.stateDirectory)
    }

    // MARK: - Addresses

    var subnetFile: String { "\(settings.stateDirectory)/subnet" }

    /// The subnet that `prepare` chose.
    func subnet() throws(HostError) -> IPv4Network {
        guard let text = SmallFile.read(subnetFile), let subnet = IPv4Network(text.prefix { $0 != "\n" }) else {
            throw HostError(.notFound, "the containers' network is not prepared")
        }
        return subnet
    }

    private func chooseSubnet() async throws(HostError) -> IPv4Network {
        let routes = try await run("ip", ["-4", "-o", "route", "show", "table", "all"], "cannot read the routes")
        let taken = SubnetChoice.taken(routes: routes, except: bridge)
        let remembered = try? subnet()
        let chosen: IPv4Network
        if let text = settings.subnet {
            guard let wanted = IPv4Network(text), (20...29).contains(wanted.prefix) else {
                throw HostError(.unavailable, "'\(text)' is no IPv4 subnet between /20 and /29")
            }
            if let other = taken.first(where: { $0.overlaps(wanted) }) {
                throw HostError(.unavailable, "the subnet \(wanted) overlaps this machine's route to \(other)")
            }
            chosen = wanted
        } else if let remembered, !taken.contains(where: { $0.overlaps(remembered) }) {
            chosen = remembered
        } else if let free = SubnetChoice.choose(taken: taken, seed: settings.tag) {
            chosen = free
        } else {
            throw HostError(.exhausted, "every private subnet overlaps a route of this machine; one has to be set")
        }
        if chosen != remembered {
            // Ends that hang on the old addresses are of no use, and would never be reached again.
            for name in names() { try await detach(name) }
            if bridgeExists { try await run("ip", ["link", "del", bridge], "cannot replace the bridge") }
            try SmallFile.replace(subnetFile, "\(chosen)\n")
        }
        return chosen
    }

    // MARK: - The bridge

    /// A mount that is made in the folder has to be seen in every mount namespace; otherwise a namespace stays alive
    /// in one that was forked meanwhile. `ip netns add` sees to that, but two of them at once, the first ever, may not.
    private func prepareNamespaceDirectory() async throws(HostError) {
        let script = """
            mkdir -p "$0" || exit
            while read -r _ _ _ _ at _; do [ "$at" = "$0" ] && exit 0; done </proc/self/mountinfo
            mount --bind "$0" "$0" && mount --make-shared "$0"
            """
        try await run("sh", ["-c", script, Self.namespaceDirectory], "cannot prepare \(Self.namespaceDirectory)")
    }

    private func prepareBridge(_ subnet: IPv4Network) async throws(HostError) {
        let gateway = subnet.first + 1
        if !bridgeExists {
            // Its own hardware address is fixed: without one it takes the smallest of its ports', and changes it as
            // they come and go, under the feet of all the others.
            try await run(
                "ip",
                [
                    "link", "add", "name", bridge, "address", IPv4Network.hardwareAddress(of: gateway), "type",
                    "bridge",
                    "stp_state", "0", "mcast_snooping", "0",
                ], "cannot make the bridge")
        }
        // Before it is up, so that it never has an IPv6 address. All of this is said by the rules too; a machine whose
        // /proc/sys is read-only loses the second lock, not the first.
        SmallFile.set("/proc/sys/net/ipv6/conf/\(bridge)/disable_ipv6", "1")
        for (name, value) in [
            ("rp_filter", "1"), ("arp_ignore", "1"), ("accept_redirects", "0"), ("send_redirects", "0"),
            ("route_localnet", "0"), ("proxy_arp", "0"),
        ] {
            SmallFile.set("/proc/sys/net/ipv4/conf/\(bridge)/\(name)", value)
        }
        let commands = """
            addr replace \(IPv4Network.text(gateway))/\(subnet.prefix) dev \(bridge)
            link set dev \(bridge) up

            """
        try await run("ip", ["-batch", "-"], input: commands, "cannot set up the bridge")
    }

    // MARK: - Forwarding

    private static let forwardingSwitch = "/proc/sys/net/ipv4/ip_forward"
    private var forwardingFile: String { "\(settings.stateDirectory)/forwarding" }

    private func forwardPackets() throws(HostError) {
        guard SmallFile.read(Self.forwardingSwitch)?.hasPrefix("0") == true else { return }
        // Remembered first: a crash in between leaves a file that says too much, and `stopForwarding` sets what is.
        try SmallFile.replace(forwardingFile, "0\n")
        guard SmallFile.set(Self.forwardingSwitch, "1") else {
            throw HostError("cannot let this machine forward packets (\(Self.forwardingSwitch))", errno: errno)
        }
    }

    /// Only when it was we who started it and no other bridge is there, whose owner would have found it on.
    private func stopForwarding() {
        guard unlink(forwardingFile) == 0 else { return }
        let others = DirectoryListing.names(in: "/sys/class/net").contains {
            access("/sys/class/net/\($0)/bridge", F_OK) == 0
        }
        if !others { SmallFile.set(Self.forwardingSwitch, "0") }
    }

    // MARK: - Filters of others

    /// An `accept` of ours is no word in another table: where container engines or `ufw` drop what they do not know
    /// in iptables' FORWARD chain, ours has to be known there.
    private var foreignRules: [[String]] {
        [
            ["-i", bridge, "-j", "ACCEPT"],
            ["-o", bridge, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"],
        ]
    }

    private func openForeignFilter() async -> String? {
        guard let rules = try? await tools.run("iptables", ["-w", "5", "-S", "FORWARD"], deadline: settings.deadline),
            rules.standardOutput.contains("-P FORWARD DROP")
        else { return nil }
        for rule in foreignRules {
            if (try? await tools.run("iptables", ["-w", "5", "-C", "FORWARD"] + rule, deadline: settings.deadline))
                != nil
            {
                continue
            }
            do throws(ToolError) {
                try await tools.run("iptables", ["-w", "5", "-I", "FORWARD"] + rule, deadline: settings.deadline)
            } catch {
                return "this machine's iptables drop forwarded packets, so containers have no internet: \(error)"
            }
        }
        return nil
    }

    private func closeForeignFilter() async {
        guard let rules = try? await tools.run("iptables", ["-w", "5", "-S", "FORWARD"], deadline: settings.deadline),
            rules.standardOutput.contains(" \(bridge) ")
        else { return }
        for rule in foreignRules {
            _ = try? await tools.run("iptables", ["-w", "5", "-D", "FORWARD"] + rule, deadline: settings.deadline)
        }
    }

    @discardableResult
    func run(
        _ tool: String, _ arguments: [String], environment: [String: String] = [:], input: String = "",
        _ complaint: String
    ) async throws(HostError) -> String {
        do throws(ToolError) {
            return try await tools.run(
                tool, arguments, environment: environment, input: input, deadline: settings.deadline
            ).standardOutput
        } catch {
            throw HostError(complaint, error)
        }
    }
}
