import ComputeCore

/// Which addresses may be dialled for people who named a host: those of the public internet, and what the operator listed.
/// Whatever is listed, not this machine's own and not the sandboxes'.
package struct DestinationRules: Sendable {
    package let allowed: [IPNetwork]
    private let own: @Sendable () async -> Set<IPAddress>?
    private let sandboxes: @Sendable () async -> [IPNetwork]?

    /// Both are asked for each time, as they come and go; nil when nobody knows.
    /// - Parameters:
    ///   - own: the addresses of this machine. What listens there hears from nobody so close otherwise, and may trust it.
    ///   - sandboxes: where computes live, of any group: one would reach another's ports past the Gateway.
    package init(
        allowed: [IPNetwork] = [], own: @escaping @Sendable () async -> Set<IPAddress>? = { [] },
        sandboxes: @escaping @Sendable () async -> [IPNetwork]? = { [] }
    ) {
        self.allowed = allowed
        self.own = own
        self.sandboxes = sandboxes
    }

    /// Whether the operator listed it. Only there plain HTTP will do.
    package func isListed(_ address: IPAddress) -> Bool { allowed.contains { $0.contains(address) } }

    /// Those of them that may be dialled. While nobody knows what is on this machine, none but its loopback.
    package func allowed(of addresses: [IPAddress]) async -> [IPAddress] {
        let candidates = addresses.filter { mayBeOpen($0) }
        guard !candidates.allSatisfy(Self.isLoopback) else { return candidates }
        let (own, sandboxes) = (await own(), await sandboxes())
        return candidates.filter { address in
            if Self.isLoopback(address) { return true }
            guard let own, let sandboxes else { return false }
            return !own.contains(address) && !sandboxes.contains { $0.contains(address) }
        }
    }

    private func mayBeOpen(_ address: IPAddress) -> Bool {
        if Self.nowhere.contains(where: { $0.contains(address) }) { return false }
        // Nobody lists a part of loopback by accident, as part of a larger network.
        if let loopback = Self.loopback.first(where: { $0.contains(address) }) {
            return allowed.contains { $0.contains(address) && $0.length >= loopback.length }
        }
        return isListed(address) || Self.isPublic(address)
    }

    private static func isLoopback(_ address: IPAddress) -> Bool { loopback.contains { $0.contains(address) } }

    private static func isPublic(_ address: IPAddress) -> Bool {
        // What is a name for an IPv4 address is no block at all, and would have to be looked at again; nobody needs those.
        guard let block = try? IPBlock(address.description) else { return false }
        return !closed.contains { $0.contains(block) }
    }

    private static let loopback = networks(["127.0.0.0/8", "::1/128"])
    /// What the kernel takes for this machine, and IPv4 addresses in other clothes, which would have to be looked at again.
    private static let nowhere = networks(["0.0.0.0/8", "::/128", "::ffff:0:0/96"])

    private static func networks(_ texts: [String]) -> [IPNetwork] { texts.map { IPNetwork($0)! } }

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
