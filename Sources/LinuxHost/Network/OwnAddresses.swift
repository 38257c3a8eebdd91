import Glibc

/// What this machine's interfaces are called by now, IPv4.
package enum OwnAddresses {
    package static func now() -> Set<String> {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return [] }
        defer { freeifaddrs(list) }
        return Set(
            sequence(first: list, next: { $0?.pointee.ifa_next }).compactMap { entry in
                guard let address = entry?.pointee.ifa_addr, Int32(address.pointee.sa_family) == AF_INET else {
                    return nil
                }
                let four = UnsafeRawPointer(address).loadUnaligned(as: sockaddr_in.self).sin_addr
                return IPv4Network.text(UInt32(bigEndian: four.s_addr))
            })
    }
}
