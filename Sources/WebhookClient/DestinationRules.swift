/// Which addresses may be dialled for people who named a host: those of the public internet that are not this machine's,
/// and what the operator listed.
package struct DestinationRules: Sendable {
    package let allowed: [IPNetwork]
    private let own: @Sendable () -> Set<IPAddress>

    /// - Parameter own: the addresses of this machine, asked for each time: they come and go. What listens at a public one
    ///   of them hears from nobody so close otherwise, and may trust it.
    package init(allowed: [IPNetwork] = [], own: @escaping @Sendable () -> Set<IPAddress> = { [] }) {
        self.allowed = allowed
        self.own = own
    }

    /// Whether the operator listed it. Only there plain HTTP will do.
    package func isListed(_ address: IPAddress) -> Bool { allowed.contains { $0.contains(address) } }

    package func allows(_ address: IPAddress) -> Bool {
        if isListed(address) { return true }
        guard isPublic(address) else { return false }
        return !own().contains(address)
    }

    private func isPublic(_ address: IPAddress) -> Bool {
        if address.bytes.count == 4 { return !Self.special4.contains { $0.contains(address) } }
        // What is no global unicast is a name for something inside, or for an IPv4 address (mapped, compatible, NAT64)
        // that would have to be looked at again; nobody needs those.
        return Self.global6.contains(address) && !Self.special6.contains { $0.contains(address) }
    }

    /// IANA's special-purpose registry, what is not unicast, and a cloud's own service to its machines.
    private static let special4 = networks([
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "168.63.129.16/32",
    ])
    private static let global6 = IPNetwork("2000::/3")!
    /// Teredo and 6to4 hold IPv4 addresses; the others are documentation.
    private static let special6 = networks([
        "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "2620:4f:8000::/48",
    ])

    private static func networks(_ texts: [String]) -> [IPNetwork] { texts.map { IPNetwork($0)! } }
}
