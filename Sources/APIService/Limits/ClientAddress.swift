import ComputeCore
import Glibc

/// What counts as one place that requests come from.
package enum ClientAddress {
    /// An IPv4 address is one place; of an IPv6 address its first 64 bits, since who has one of them has all the others.
    /// What is neither is a place of its own.
    package static func place(_ address: String) -> String {
        var bytes = [UInt8](repeating: 0, count: 16)
        guard inet_pton(AF_INET6, address, &bytes) == 1 else { return address }
        // IPv4 as a socket for both families says it: ::ffff:a.b.c.d.
        if bytes[..<10].allSatisfy({ $0 == 0 }), bytes[10] == 0xFF, bytes[11] == 0xFF {
            return bytes[12...].map(String.init).joined(separator: ".")
        }
        return bytes[..<8].hex + "/64"
    }

    /// Who asks, as far as it is known: the peer, or whom the Gateway names. The Gateway is on this machine, where
    /// nobody but it needs the API's own listener.
    /// - Returns: nil where a client of this machine's own socket is not named; only the system's user can open it.
    package static func of(peer: String?, forwarded: String?) -> String? {
        guard let peer else { return forwarded }
        return isLoopback(peer) ? forwarded ?? peer : peer
    }

    private static func isLoopback(_ address: String) -> Bool {
        let place = place(address)
        return place.hasPrefix("127.") || address == "::1"
    }
}
