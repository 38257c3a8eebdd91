/// Which addresses the containers get: a block that no route of this machine overlaps.
package enum SubnetChoice {
    /// A bridge takes 1023 ports, so a /22 is as much as can be used.
    static let prefix = 22

    /// Where blocks are taken from, in this order. The upper half of 10/8 is what other software (container engines,
    /// clusters, clouds) uses least; the last is meant for benchmarks of network devices and is routed by nobody.
    static let pools = ["10.128.0.0/9", "172.16.0.0/12", "192.168.0.0/16", "198.18.0.0/15"]

    /// - Parameters:
    ///   - routes: what `ip -4 -o route show table all` prints.
    ///   - interface: our own, whose routes do not count.
    /// - Returns: the destinations that are taken. A block wider than /4 is a default route in disguise, as VPNs set it.
    package static func taken(routes: String, except interface: String) -> [IPv4Network] {
        routes.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            if let device = words.firstIndex(of: "dev"), words.dropFirst(device + 1).first == Substring(interface) {
                return nil
            }
            // The kind of a route (`local`, `broadcast`, `blackhole`) comes before its destination.
            guard let network = words.prefix(2).lazy.compactMap({ IPv4Network($0) }).first else { return nil }
            return network.prefix < 4 ? nil : network
        }
    }

    /// - Parameter seed: two instances that start together begin their search at different places.
    /// - Returns: nil when everything overlaps something.
    package static func choose(taken: [IPv4Network], seed: String) -> IPv4Network? {
        let offset = seed.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
        for pool in pools.compactMap({ IPv4Network($0) }) {
            let count = UInt32(1) << UInt32(prefix - pool.prefix)
            for step in 0..<count {
                let block = (offset &+ step) % count
                let candidate = IPv4Network(pool.first + block << UInt32(32 - prefix), prefix: prefix)
                if !taken.contains(where: { $0.overlaps(candidate) }) { return candidate }
            }
        }
        return nil
    }
}
