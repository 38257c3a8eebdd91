import ComputeCore

/// An image in a registry, in the grammar of the distribution project: `[host[:port]/]path[:tag][@digest]`.
package struct RegistryReference: Sendable, Hashable, CustomStringConvertible {
    /// `host` or `host:port`; nil: whatever the tools take when none is named.
    package let registry: String?
    /// Lower case, components joined by `/`.
    package let path: String
    package let tag: String?
    /// `sha256:…`. It says everything, so a tag beside it is dropped.
    package let digest: String?

    package init(_ text: String) throws(ImageError) {
        guard text.utf8.count <= 512 else { throw Self.refused("it is longer than 512 bytes") }
        guard !text.contains("://") else { throw Self.refused("it is written without a scheme, such as python:3.12") }
        var rest = Substring(text)
        var digest: String?
        if let at = rest.firstIndex(of: "@") {
            digest = String(rest[rest.index(after: at)...])
            rest = rest[..<at]
            guard let digest, ImageDigest.isDigest(digest) else {
                throw Self.refused("what follows @ must be sha256: and 64 hexadecimal digits")
            }
        }
        var components = rest.split(separator: "/", omittingEmptySubsequences: false)
        var registry: String?
        // The first component is a host only when it cannot be anything else.
        if components.count > 1,
            components[0] == "localhost" || components[0].contains(where: { $0 == "." || $0 == ":" })
        {
            guard Self.isHost(components[0]) else { throw Self.refused("its first part is no host or host:port") }
            registry = String(components.removeFirst())
        }
        var tag: String?
        if let last = components.last, let colon = last.firstIndex(of: ":") {
            tag = String(last[last.index(after: colon)...])
            components[components.count - 1] = last[..<colon]
            guard let tag, Self.isTag(tag) else {
                throw Self.refused("a tag has up to 128 letters, digits, dots, dashes or underscores")
            }
        }
        let path = components.joined(separator: "/")
        guard path.utf8.count <= 255, components.allSatisfy(Self.isPathComponent) else {
            throw Self.refused("its name is lower-case letters and digits, joined by single . _ - or /")
        }
        self.registry = registry
        self.path = path
        self.digest = digest
        self.tag = digest == nil ? tag ?? "latest" : nil
    }

    package var description: String { name + (digest.map { "@\($0)" } ?? ":\(tag ?? "latest")") }

    var name: String { (registry.map { "\($0)/" } ?? "") + path }

    var host: Substring? { registry?.split(separator: ":").first }

    /// Whether the registry is on this machine.
    package var isOnLoopback: Bool {
        // All of 127.0.0.0/8, and only what cannot be a name: `127.0.0.1.example.com` is somebody's.
        host.map { $0 == "localhost" || Self.address($0)?.first == 127 } ?? false
    }

    /// Whether the registry is named by a name with a dot, or by an address that is nobody's own.
    var isPublic: Bool {
        guard let host else { return true }
        let labels = host.lowercased().split(separator: ".")
        guard labels.count > 1, let last = labels.last else { return false }
        guard last.utf8.first.map(\.isDigit) == true else {
            return last != "localhost" && last != "local" && last != "internal"
        }
        // A last label that begins with a digit is no name; of all the ways to write an address (`127.1`, `0x7f.0.0.1`)
        // only the plain one is taken.
        guard let address = Self.address(host) else { return false }
        switch (address[0], address[1]) {
        case (0, _), (10, _), (127, _), (169, 254), (172, 16...31), (192, 168), (100, 64...127), (224..., _):
            return false
        default: return true
        }
    }

    private static func address(_ host: Substring) -> [UInt8]? {
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { UInt8($0) }
        // `010` would be eight to some readers.
        guard parts.count == 4, numbers.count == 4, zip(parts, numbers).allSatisfy({ $0 == "\($1)" }) else {
            return nil
        }
        return numbers
    }

    static func isTag(_ text: String) -> Bool {
        (1...128).contains(text.utf8.count)
            && text.utf8.allSatisfy { $0.isLetter || $0.isDigit || "._-".utf8.contains($0) }
            && text.first != "." && text.first != "-"
    }

    private static func isPathComponent(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, let last = text.utf8.last, first.isLowerOrDigit, last.isLowerOrDigit else {
            return false
        }
        // Between them: one dot, one or two underscores, or any number of dashes.
        let separators = text.utf8.split(whereSeparator: { $0.isLowerOrDigit }).map { String(Substring($0)) }
        return separators.allSatisfy { $0 == "." || $0 == "_" || $0 == "__" || $0.utf8.allSatisfy { $0 == 0x2D } }
    }

    private static func isHost(_ text: Substring) -> Bool {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), parts[0].utf8.count <= 253 else { return false }
        if parts.count == 2 {
            guard parts[1].utf8.allSatisfy({ $0.isDigit }), let port = UInt16(parts[1]), port > 0 else { return false }
        }
        return parts[0].split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                && label.utf8.allSatisfy { $0.isLetter || $0.isDigit || $0 == 0x2D }
        }
    }

    private static func refused(_ why: String) -> ImageError {
        ImageError(.invalidReference, "this is no reference to an image: \(why)")
    }
}

/// `sha256:` + 64 lower-case hexadecimal digits.
enum ImageDigest {
    static func isDigest(_ text: String) -> Bool {
        text.hasPrefix("sha256:") && text.utf8.count == 71
            && text.utf8.dropFirst(7).allSatisfy { $0.isDigit || (0x61...0x66).contains($0) }
    }

    /// The folder's name: a colon would end a layer in the options of an overlay mount.
    static func folderName(_ digest: String) -> String { "sha256-" + digest.dropFirst(7) }
}

extension UInt8 {
    fileprivate var isLetter: Bool { (0x41...0x5A).contains(self) || (0x61...0x7A).contains(self) }
    fileprivate var isLowerOrDigit: Bool { isDigit || (0x61...0x7A).contains(self) }
}
