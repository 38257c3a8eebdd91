import ComputeCore

/// Which addresses may be dialled for people who named a host: those of the public internet that are not this machine's,
/// and what the operator listed.
package struct DestinationRules: Sendable {
    package let allowed: [IPNetwork]
    private let own: @Sendable () async -> Set<IPAddress>?

    /// - Parameter own: the addresses of this machine, asked for each time: they come and go. What listens at a public one
    ///   of them hears from nobody so close otherwise, and may trust it. nil when nobody knows.
    package init(allowed: [IPNetwork] = [], own: @escaping @Sendable () async -> Set<IPAddress>? = { [] }) {
        self.allowed = allowed
        self.own = own
    }

    /// Whether the operator listed it. Only there plain HTTP will do.
    package func isListed(_ address: IPAddress) -> Bool { allowed.contains { $0.contains(address) } }

    /// Those of them that may be dialled. While nobody knows which addresses this machine has, any other may be one.
    package func allowed(of addresses: [IPAddress]) async -> [IPAddress] {
        let candidates = addresses.filter { isListed($0) || Self.isPublic($0) }
        guard !candidates.allSatisfy(isListed) else { return candidates }
        let own = await own()
        return candidates.filter { isListed($0) || own?.contains($0) == false }
    }

    private static func isPublic(_ address: IPAddress) -> Bool {
        // What is a name for an IPv4 address is no block at all, and would have to be looked at again; nobody needs those.
        guard let block = try? IPBlock(address.description) else { return false }
        return !closed.contains { $0.contains(block) }
    }

    /// What sandboxes do not reach either, and the rest of IANA's special-purpose registry: documentation, services of the
    /// network itself, and Teredo, which holds IPv4 addresses.
    private static let closed =
        IPBlock.notInternet
        + [
            "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.175.48.0/24",
            "198.51.100.0/24", "203.0.113.0/24",
            "2001::/23", "2001:db8::/32", "2620:4f:8000::/48", "3fff::/20",
        ].compactMap { try? IPBlock($0) }
}
