/// One block of IPv4 addresses, such as 10.130.4.0/22.
package struct IPv4Network: Hashable, Sendable, CustomStringConvertible {
    /// The first address of the block.
    package let first: UInt32
    package let prefix: Int

    /// - Parameter first: any address of the block.
    package init(_ first: UInt32, prefix: Int) {
        self.prefix = prefix
        self.first = prefix == 0 ? 0 : first & (UInt32.max << UInt32(32 - prefix))
    }

    /// - Parameter text: `10.1.2.0/24`; a lone address is a block of one. Nil for anything else.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let address = Self.address(parts[0]) else { return nil }
        guard parts.count == 2 else {
            self.init(address, prefix: 32)
            return
        }
        guard let prefix = Int(parts[1]), (0...32).contains(prefix) else { return nil }
        self.init(address, prefix: prefix)
    }

    package var last: UInt32 { first | (prefix == 0 ? .max : ~(UInt32.max << UInt32(32 - prefix))) }

    package func overlaps(_ other: IPv4Network) -> Bool { first <= other.last && other.first <= last }

    package func contains(_ other: IPv4Network) -> Bool { first <= other.first && other.last <= last }

    package var description: String { "\(Self.text(first))/\(prefix)" }

    package static func address(_ text: some StringProtocol) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var address: UInt32 = 0
        for part in parts {
            guard part.allSatisfy({ $0.isASCII && $0.isNumber }), let byte = UInt8(part) else { return nil }
            address = address << 8 | UInt32(byte)
        }
        return address
    }

    package static func text(_ address: UInt32) -> String {
        [24, 16, 8, 0].map { String(address >> UInt32($0) & 255) }.joined(separator: ".")
    }

    /// The hardware address that goes with an address: two fixed bytes, "locally administered", and the address.
    /// Since it follows from the address, one static set can say which pairs are honest.
    package static func hardwareAddress(of address: UInt32) -> String {
        hardwareBytes(of: address).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }

    static func hardwareBytes(of address: UInt32) -> [UInt8] {
        [0x0A, 0x58] + [24, 16, 8, 0].map { UInt8(address >> UInt32($0) & 255) }
    }
}
