import Glibc
import NIOPosix

/// An address as its bytes: nothing can be written two ways.
package struct IPAddress: Hashable, Sendable, CustomStringConvertible {
    /// 4 or 16.
    package let bytes: [UInt8]

    /// - Returns: nil for what is not a dotted quad or an IPv6 address as RFC 4291 writes it.
    package init?(_ text: String) {
        var four = in_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            bytes = withUnsafeBytes(of: &four) { Array($0) }
            return
        }
        var six = in6_addr()
        guard inet_pton(AF_INET6, text, &six) == 1 else { return nil }
        bytes = withUnsafeBytes(of: &six) { Array($0) }
    }

    init?(_ address: UnsafePointer<sockaddr>) {
        let raw = UnsafeRawPointer(address)
        switch Int32(address.pointee.sa_family) {
        case AF_INET:
            var four = raw.loadUnaligned(as: sockaddr_in.self).sin_addr
            bytes = withUnsafeBytes(of: &four) { Array($0) }
        case AF_INET6:
            var six = raw.loadUnaligned(as: sockaddr_in6.self).sin6_addr
            bytes = withUnsafeBytes(of: &six) { Array($0) }
        default: return nil
        }
    }

    /// A thread that may wait: the kernel is asked, which takes longer the more computes there are. The process's own.
    fileprivate static let asking: NIOThreadPool = {
        let pool = NIOThreadPool(numberOfThreads: 1)
        pool.start()
        return pool
    }()

    /// Those of all interfaces, as they are now. nil when the kernel does not say.
    package static func ofThisMachine() async -> Set<IPAddress>? {
        try? await asking.runIfActive { ask() } ?? nil
    }

    private static func ask() -> Set<IPAddress>? {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return nil }
        defer { freeifaddrs(list) }
        return Set(
            sequence(first: list, next: { $0?.pointee.ifa_next }).compactMap { entry in
                (entry?.pointee.ifa_addr).flatMap { IPAddress($0) }
            })
    }

    package var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let family = bytes.count == 4 ? AF_INET : AF_INET6
        _ = inet_ntop(family, bytes, &text, socklen_t(text.count))
        return text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }
}

/// `10.0.0.0/8`, `fd00::/8`.
package struct IPNetwork: Hashable, Sendable {
    let address: IPAddress
    let length: Int

    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(String(parts[0])), let length = Int(parts[1]),
            (0...address.bytes.count * 8).contains(length)
        else { return nil }
        self.address = address
        self.length = length
    }

    /// Those that interfaces of such a name are in now. nil when the kernel does not say.
    package static func ofInterfaces(named prefix: String) async -> [IPNetwork]? {
        try? await IPAddress.asking.runIfActive { ask(prefix) } ?? nil
    }

    private static func ask(_ prefix: String) -> [IPNetwork]? {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return nil }
        defer { freeifaddrs(list) }
        return sequence(first: list, next: { $0?.pointee.ifa_next }).compactMap { entry in
            guard let entry = entry?.pointee, String(cString: entry.ifa_name).hasPrefix(prefix),
                let address = entry.ifa_addr.flatMap({ IPAddress($0) }),
                let mask = entry.ifa_netmask.flatMap({ IPAddress($0) })
            else { return nil }
            return IPNetwork(
                address: address, length: mask.bytes.reduce(0) { $0 + $1.nonzeroBitCount })
        }
    }

    private init(address: IPAddress, length: Int) {
        self.address = address
        self.length = length
    }

    package func contains(_ other: IPAddress) -> Bool {
        guard other.bytes.count == address.bytes.count else { return false }
        return zip(address.bytes, other.bytes).enumerated().allSatisfy { index, pair in
            let bits = min(max(length - index * 8, 0), 8)
            let mask = bits == 0 ? 0 : UInt8(0xFF) << (8 - bits)
            return pair.0 & mask == pair.1 & mask
        }
    }
}
