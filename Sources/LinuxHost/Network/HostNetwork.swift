import Glibc

/// One bridge for containers and what they may reach through it.
///
/// Everything is found by name on the machine itself, so nothing here has state of its own but whose turn it is: bridge `csdk<tag>`,
/// table `inet computesdk_<tag>`, network namespaces `csdk-<tag>-<name>`, address leases and the chosen subnet below
/// `stateDirectory`. Each call may have been cut off at any step before; calling it again completes or removes it.
package struct HostNetwork: Sendable {
    package struct Settings: Sendable {
        /// At most eight letters and digits, so that names of interfaces stay below 16 bytes.
        package var tag: String
        package var stateDirectory: String
        /// False: containers reach nothing at all.
        package var internet: Bool
        /// Resolvers that containers will ask. Those in private ranges are opened for port 53 and nothing else.
        package var dns: [String]
        /// `10.1.0.0/22`; nil chooses a block that nothing else on this machine uses.
        package var subnet: String?
        /// Where the CNI plugins `bridge` and `host-local` are looked for.
        package var pluginDirectories: [String]
        /// The longest that one step of attaching or detaching may take.
        package var deadline: Duration

        package init(
            tag: String, stateDirectory: String, internet: Bool, dns: [String] = [], subnet: String? = nil,
            pluginDirectories: [String] = ["/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"],
            deadline: Duration = .seconds(20)
        ) {
            self.tag = tag
            self.stateDirectory = stateDirectory
            self.internet = internet
            self.dns = dns
            self.subnet = subnet
            self.pluginDirectories = pluginDirectories
            self.deadline = deadline
        }

        /// Of `dns` those that a container can reach.
        var resolvers: [String] {
            dns.filter { IPv4Network.address($0).map { $0 >> 24 != 127 && $0 != 0 } ?? false }
        }

        /// Then the rules have a set of them.
        var asksResolvers: Bool { internet && !resolvers.isEmpty }
    }

    package struct Attachment: Hashable, Sendable {
        package var namespacePath: String
        package var address: String
        package var gateway: String

        package init(namespacePath: String, address: String, gateway: String) {
            self.namespacePath = namespacePath
            self.address = address
            self.gateway = gateway
        }
    }

    package let settings: Settings
    let tools: Tools
    /// Whoever writes rules takes one: what the table is to hold is read before it is written, and noted afterwards.
    private let turns = Turns<String>()

    package init(settings: Settings, tools: Tools) {
        self.settings = settings
        self.tools = tools
    }

    /// Of every bridge for containers, whichever process made it.
    package static let bridgePrefix = "csdk"
    package var bridge: String { Self.bridgePrefix + settings.tag }
    package var table: String { "computesdk_\(settings.tag)" }

    /// Containers of which something exists now: a namespace, an address, a bridge port, or rules.
    package func names() -> [String] {
        var found = Set<String>()
        for entry in DirectoryListing.names(in: Self.namespaceDirectory) where entry.hasPrefix(namespacePrefix) {
            found.insert(String(entry.dropFirst(namespacePrefix.count)))
        }
        for lease in leases() { found.insert(lease.name) }
        for port in ports() { found.insert(port.name) }
        found.formUnion(policyNames())
        return found.sorted()
    }

    /// Containers that have a port, and an address that is given to nobody else. Any other is reached by nobody, or its
    /// rules are not in the table when that is written anew.
    package func attached() -> Set<String> { Set(leases().map(\.name)).intersection(ports().map(\.name)) }

    /// Nobody else writes rules meanwhile. Not for what calls itself one of those who do.
    func inTurn<Value: Sendable>(
        _ work: @escaping @Sendable () async throws(HostError) -> Value
    ) async throws(HostError) -> Value {
        try await turns.run(table, work)
    }

    // MARK: - Names on the machine

    static let namespaceDirectory = "/run/netns"

    var namespacePrefix: String { "csdk-\(settings.tag)-" }

    func namespace(of name: String) -> String { namespacePrefix + name }

    func namespacePath(of name: String) -> String { "\(Self.namespaceDirectory)/\(namespace(of: name))" }

    var leaseDirectory: String { "\(settings.stateDirectory)/leases" }

    /// What the `host-local` plugin has on record: a file per address, whose first line is the container's name.
    func leases() -> [(address: String, name: String)] {
        let folder = "\(leaseDirectory)/\(bridge)"
        return DirectoryListing.names(in: folder).compactMap { address in
            guard IPv4Network.address(address) != nil else { return nil }
            let name = SmallFile.read("\(folder)/\(address)")?.split(whereSeparator: \.isNewline).first
            return name.map { (address, String($0)) }
        }
    }

    /// Ports of the bridge that carry a container's name; the name is given in `attach`.
    func ports() -> [(interface: String, name: String)] {
        DirectoryListing.names(in: "/sys/class/net/\(bridge)/brif").compactMap { interface in
            guard let alias = SmallFile.read("/sys/class/net/\(interface)/ifalias")?.split(separator: "\n").first,
                alias.hasPrefix(namespacePrefix)
            else { return nil }
            return (interface, String(alias.dropFirst(namespacePrefix.count)))
        }
    }

    var bridgeExists: Bool { access("/sys/class/net/\(bridge)", F_OK) == 0 }

    func plugin(_ name: String) throws(HostError) -> String {
        let candidates = settings.pluginDirectories.map { "\($0)/\(name)" }
        guard let path = candidates.first(where: { access($0, X_OK) == 0 }) else {
            throw HostError(
                .unavailable,
                "the CNI plugin '\(name)' is in none of \(settings.pluginDirectories.joined(separator: ", "))")
        }
        return path
    }
}
