import ComputeCore

/// What containers may reach, as one nftables table that is written once. Single containers have rules of their own only
/// where they reach less (`Confinement`).
///
/// ```
///  container ──► bridge port (isolated, locked) ──► arriving ──┬─► to this machine: receiving   (answers only)
///                                                              └─► onwards:         passing     (internet or nothing)
///  anywhere  ──► passing ──► container: answers only.     This machine ──► container: free
/// ```
///
/// Everything is judged twice: in `arriving` before any other table rewrites a destination (a published port of
/// another container engine is an address of this machine *there*, and a private one afterwards), and in `passing`
/// by the destination that the packet really goes to.
///
/// `ending` refuses what a container sends. Of what comes to it, datagrams go no further; a stream's next piece is let
/// through, since the answer to it is what ends the stream inside at once.
package struct FirewallRules: Sendable {
    package var table: String
    package var bridge: String
    package var subnet: IPv4Network
    package var internet: Bool
    /// May be asked on port 53 although they lie in a closed range; only with `internet`, since questions carry data.
    package var resolvers: [String]
    /// Of the containers that are there.
    var confined: [Confinement] = []

    package init(table: String, bridge: String, subnet: IPv4Network, internet: Bool, resolvers: [String]) {
        self.table = table
        self.bridge = bridge
        self.subnet = subnet
        self.internet = internet
        self.resolvers = resolvers
    }

    /// Never reached. IPv6, and with it NAT64, is closed as a whole.
    package static let closed = IPBlock.notInternet.filter(\.isIPv4).map(\.description)

    /// Input for `nft -f -`: replaces the table in one step.
    package var script: String {
        let asked = internet ? resolvers : []
        let allowResolvers =
            asked.isEmpty
            ? ""
            : "ip daddr @resolvers udp dport 53 accept\n        ip daddr @resolvers tcp dport 53 accept"
        let resolverSet =
            asked.isEmpty
            ? "" : "set resolvers { type ipv4_addr; elements = { \(asked.joined(separator: ", ")) }; }"
        return """
            table inet \(table) {
            }
            delete table inet \(table)
            table inet \(table) {
                set closed {
                    type ipv4_addr; flags interval
                    elements = { \(Self.closed.joined(separator: ", ")) }
                }
                set honest {
                    type ipv4_addr . ether_addr
                    elements = { \(honestPairs) }
                }
                \(resolverSet)
                chain refuse {
                    meta l4proto tcp reject with tcp reset
                    ip protocol != icmp reject with icmp admin-prohibited
                    drop
                }
                chain arriving {
                    type filter hook prerouting priority mangle; policy accept;
                    iifname "\(bridge)" jump leaving
                }
                chain leaving {
                    meta nfproto != ipv4 drop
                    ip saddr . ether saddr != @honest drop
                    ct state established,related accept
                    ct state invalid drop
                    \(allowResolvers)
                    fib daddr type != unicast goto refuse
                    ip daddr @closed goto refuse
                    \(internet ? "accept" : "goto refuse")
                }
                chain ending {
                    iifname "\(bridge)" goto refuse
                    meta l4proto tcp return
                    drop
                }
                \(chains)
                map \(Confinement.map) {
                    type ipv4_addr : verdict
                    \(elements)
                }
                chain limiting {
                    type filter hook prerouting priority mangle + 1; policy accept;
                    ct original ip saddr vmap @\(Confinement.map)
                }
                chain receiving {
                    type filter hook input priority filter - 10; policy accept;
                    iifname != "\(bridge)" accept
                    meta nfproto != ipv4 drop
                    ct state established,related accept
                    \(allowResolvers)
                    goto refuse
                }
                chain passing {
                    type filter hook forward priority filter - 10; policy accept;
                    iifname "\(bridge)" jump onwards
                    oifname "\(bridge)" jump inwards
                }
                chain onwards {
                    meta nfproto != ipv4 drop
                    oifname "\(bridge)" drop
                    ct state established,related accept
                    \(allowResolvers)
                    ip daddr @closed goto refuse
                    \(internet ? "accept" : "goto refuse")
                }
                chain inwards {
                    meta nfproto != ipv4 drop
                    ct state established,related accept
                    drop
                }
                chain hiding {
                    type nat hook postrouting priority srcnat; policy accept;
                    \(internet ? "ip saddr \(subnet) oifname != \"\(bridge)\" masquerade" : "")
                }
            }

            """
    }

    private var chains: String {
        confined.map { $0.definition(bridge: bridge, asksResolvers: internet && !resolvers.isEmpty) }
            .joined(separator: "\n")
    }

    private var elements: String {
        confined.isEmpty ? "" : "elements = { \(confined.map(\.element).joined(separator: ", ")) }"
    }

    /// Each address with the one hardware address that may send from it. With the port locked to that hardware
    /// address, nobody sends in a neighbour's name.
    private var honestPairs: String {
        (subnet.first + 2..<subnet.last)
            .map { "\(IPv4Network.text($0)) . \(IPv4Network.hardwareAddress(of: $0))" }
            .joined(separator: ", ")
    }
}
