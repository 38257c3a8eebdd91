import ComputeCore

/// The rules of one container that reaches less than all the others, as a chain that its packets take.
///
/// ```
///  any packet of a flow that it started, either way ──► limiting ──► of_<address> ──┬─► return: goes on to the other chains
///                                                                                   └─► ending: refused
/// ```
/// The flow says whose it is and where it went, also of what comes back; flows that others started to it have another
/// origin. Each packet is judged, so what is open and not allowed any more ends as well.
struct Confinement: Sendable, Hashable {
    var address: UInt32
    var policy: NetworkPolicy

    static let map = "limited"

    private var text: String { IPv4Network.text(address) }
    private var chain: String { "of_" + text.split(separator: ".").joined(separator: "_") }

    /// Its line in the map of all of them.
    var element: String { "\(text) : goto \(chain)" }

    /// - Parameter asksResolvers: whether any container may ask one; then this one may as well while it reaches anything.
    func rules(bridge: String, asksResolvers: Bool) -> [String] {
        var rules: [String] = []
        let allowed = Self.set(policy.allowOut)
        if let allowed { rules.append("ct original ip daddr \(allowed) return") }
        if let denied = Self.set(policy.denyOut) { rules.append("ct original ip daddr \(denied) goto ending") }
        guard !policy.internet else { return rules }
        if allowed != nil, asksResolvers {
            rules.append("iifname \"\(bridge)\" ip daddr @resolvers meta l4proto { tcp, udp } th dport 53 return")
            rules.append("iifname != \"\(bridge)\" ct original ip daddr @resolvers return")
        }
        return rules + ["goto ending"]
    }

    /// As part of the table.
    func definition(bridge: String, asksResolvers: Bool) -> String {
        "chain \(chain) {\n\(rules(bridge: bridge, asksResolvers: asksResolvers).joined(separator: "\n"))\n}"
    }

    /// Input for `nft -f -`: in force as a whole, in the place of what was there.
    func script(table: String, bridge: String, asksResolvers: Bool) -> String {
        let rules = rules(bridge: bridge, asksResolvers: asksResolvers).map {
            "add rule inet \(table) \(chain) \($0)\n"
        }
        return """
            add chain inet \(table) \(chain)
            flush chain inet \(table) \(chain)
            \(rules.joined())add element inet \(table) \(Self.map) { \(element) }

            """
    }

    /// Also where there is nothing of it, not even the table.
    func removal(table: String) -> String {
        """
        add table inet \(table)
        add map inet \(table) \(Self.map) { type ipv4_addr : verdict; }
        add chain inet \(table) \(chain)
        add element inet \(table) \(Self.map) { \(element) }
        delete element inet \(table) \(Self.map) { \(text) }
        flush chain inet \(table) \(chain)
        delete chain inet \(table) \(chain)

        """
    }

    /// nil where it would be empty. Containers have no IPv6.
    private static func set(_ blocks: [IPBlock]) -> String? {
        let blocks = IPBlock.disjoint(blocks.filter(\.isIPv4))
        return blocks.isEmpty ? nil : "{ \(blocks.map(\.description).joined(separator: ", ")) }"
    }
}
