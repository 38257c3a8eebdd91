/// Who answers questions for names.
package enum Resolvers {
    /// What this machine asks, as far as a container can ask it too: an address of IPv4 that is not the machine's own
    /// loopback. Public ones where there is none.
    package static var ofThisMachine: [String] {
        let text = String(decoding: readFollowing("/etc/resolv.conf"), as: UTF8.self)
        let found = usable(in: text)
        return found.isEmpty ? ["1.1.1.1", "8.8.8.8"] : found
    }

    package static func usable(in text: String) -> [String] {
        let servers = text.split(separator: "\n").compactMap { line -> String? in
            let words = line.split(whereSeparator: \.isWhitespace)
            guard words.count >= 2, words[0] == "nameserver" else { return nil }
            let numbers = words[1].split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
            guard numbers.count == 4, !numbers.contains(nil), numbers[0] != 127, numbers[0] != 0 else { return nil }
            return String(words[1])
        }
        // As many as the C library asks.
        return Array(servers.prefix(3))
    }
}
