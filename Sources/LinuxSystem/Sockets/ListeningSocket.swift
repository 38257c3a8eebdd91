/// A TCP socket that waits for connections, as `/proc/net/tcp` and `/proc/net/tcp6` list them.
package struct ListeningSocket: Hashable, Sendable {
    package let port: Int
    /// Which connections on this machine reach it.
    package let reach: Reach
    /// No connection from another machine reaches it.
    package let isLoopbackOnly: Bool
    package let inode: UInt64

    package enum Reach: Hashable, Sendable {
        /// All addresses, or an IPv4 one on the loopback.
        case loopback4
        /// The IPv6 loopback alone, or all IPv6 addresses, which may leave IPv4 out.
        case loopback6
        /// Another address only.
        case elsewhere
    }

    package init(port: Int, reach: Reach, isLoopbackOnly: Bool = false, inode: UInt64) {
        self.port = port
        self.reach = reach
        self.isLoopbackOnly = isLoopbackOnly
        self.inode = inode
    }

    /// What listens, from the text of one of the two files. Lines that make no sense are passed over: the first is a
    /// heading, and user code cannot write the others.
    ///
    ///     sl  local_address rem_address   st tx_queue:rx_queue tr:tm->when retrnsmt   uid  timeout inode
    ///      0: 0100007F:476B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0     1 …
    package static func parse(_ text: String) -> [ListeningSocket] {
        text.utf8.split(separator: UInt8(ascii: "\n")).compactMap { line in
            let fields = line.split(separator: UInt8(ascii: " "), maxSplits: 10).map { Substring($0) }
            // 0A: TCP_LISTEN
            guard fields.count >= 10, fields[3] == "0A", let inode = UInt64(fields[9]) else { return nil }
            let address = fields[1].split(separator: ":", omittingEmptySubsequences: false)
            guard address.count == 2, let (reach, isLoopbackOnly) = reach(address[0]), address[1].utf8.count == 4,
                address[1].utf8.allSatisfy({ $0.isHexDigit }),
                let port = UInt16(address[1], radix: 16), port > 0
            else { return nil }
            return ListeningSocket(port: Int(port), reach: reach, isLoopbackOnly: isLoopbackOnly, inode: inode)
        }
    }

    /// Words of four bytes, each in the byte order of the machine; all that we run on are little-endian.
    private static func reach(_ hex: Substring) -> (Reach, isLoopbackOnly: Bool)? {
        guard hex.utf8.allSatisfy({ $0.isHexDigit }) else { return nil }
        switch hex.utf8.count {
        case 8:
            if hex == "00000000" { return (.loopback4, false) }
            return hex.hasSuffix("7F") ? (.loopback4, true) : (.elsewhere, false)
        case 32:
            if hex.utf8.allSatisfy({ $0 == UInt8(ascii: "0") }) { return (.loopback6, false) }
            if hex == "00000000000000000000000001000000" { return (.loopback6, true) }
            // ::ffff:127.x.x.x
            if hex.hasPrefix("0000000000000000FFFF0000"), hex.hasSuffix("7F") { return (.loopback4, true) }
            return (.elsewhere, false)
        default: return nil
        }
    }
}

extension UInt8 {
    fileprivate var isHexDigit: Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) || (UInt8(ascii: "A")...UInt8(ascii: "F")).contains(self)
            || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(self)
    }
}
