import Glibc

/// One address, or a block of them such as `10.0.0.0/8` or `2001:db8::/32`.
package struct IPBlock: Hashable, Sendable, CustomStringConvertible {
    /// The first address: 4 bytes or 16.
    package let bytes: [UInt8]
    package let length: Int

    /// Why a text is no block, in words that follow on a field's name.
    package enum Fault: Error, Hashable, Sendable {
        /// A host, which is known by its addresses alone.
        case name
        case notAnAddress
        /// The block that it lies in.
        case hasHostBits(String)
    }

    /// - Parameter text: as RFC 4632 and RFC 4291 write it: no leading zeros, no zones, nothing behind the prefix.
    package init(_ text: String) throws(Fault) {
        guard !Self.isName(text) else { throw .name }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        // The first one would end early at a NUL.
        guard parts.count <= 2, text.utf8.count <= 64, !text.utf8.contains(0), let bytes = Self.bytes(String(parts[0]))
        else { throw .notAnAddress }
        var length = bytes.count * 8
        if parts.count == 2 {
            guard let number = Int(parts[1]), String(number) == parts[1], (0...length).contains(number) else {
                throw .notAnAddress
            }
            length = number
        }
        let first = Self.masked(bytes, length)
        guard first == bytes else { throw .hasHostBits(IPBlock(first, length).description) }
        // One address must not be written two ways.
        guard bytes.count == 4 || !Self.mapped.contains(IPBlock(bytes, length)) else { throw .notAnAddress }
        self.init(bytes, length)
    }

    private init(_ bytes: [UInt8], _ length: Int) {
        self.bytes = bytes
        self.length = length
    }

    package var isIPv4: Bool { bytes.count == 4 }

    /// An address is written without its length.
    package var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        _ = inet_ntop(isIPv4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count))
        let address = text.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
        return length == bytes.count * 8 ? address : "\(address)/\(length)"
    }

    package func contains(_ other: IPBlock) -> Bool {
        isIPv4 == other.isIPv4 && length <= other.length && Self.masked(other.bytes, length) == bytes
    }

    /// Without those that lie in others: blocks nest and never overlap in part, so none of what is left touches another.
    package static func disjoint(_ blocks: [IPBlock]) -> [IPBlock] {
        var kept: [IPBlock] = []
        for block in blocks.sorted(by: { $0.length < $1.length }) where !kept.contains(where: { $0.contains(block) }) {
            kept.append(block)
        }
        return kept
    }

    // MARK: - What is not the internet

    /// This network, private, shared (RFC 6598), loopback, link-local with the metadata services, protocol assignments,
    /// benchmarks, multicast, reserved with broadcast, and a public address that is a cloud's own service to its machines;
    /// of IPv6 what is no global unicast, and what stands for IPv4.
    package static let notInternet: [IPBlock] = [
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16",
        "::/3", "4000::/2", "8000::/1", "2002::/16",
    ].compactMap { try? IPBlock($0) }

    // MARK: - Parts

    private static let mapped = IPBlock([UInt8](repeating: 0, count: 10) + [255, 255, 0, 0, 0, 0], 96)

    private static func bytes(_ text: String) -> [UInt8]? {
        var four = in_addr()
        if inet_pton(AF_INET, text, &four) == 1 { return withUnsafeBytes(of: &four) { Array($0) } }
        var six = in6_addr()
        guard inet_pton(AF_INET6, text, &six) == 1 else { return nil }
        return withUnsafeBytes(of: &six) { Array($0) }
    }

    private static func masked(_ bytes: [UInt8], _ length: Int) -> [UInt8] {
        bytes.enumerated().map { index, byte in
            let bits = min(max(length - index * 8, 0), 8)
            return bits == 0 ? 0 : byte & (0xFF << UInt8(8 - bits))
        }
    }

    /// Whether it was meant to name a host: a letter that is no hexadecimal digit, a star, or a letter where no colon is.
    private static func isName(_ text: String) -> Bool {
        let letters = text.utf8.map { $0 | 0x20 }.filter { (0x61...0x7A).contains($0) }
        return text.contains("*") || letters.contains { $0 > 0x66 } || (!letters.isEmpty && !text.contains(":"))
    }
}
