package import ComputeCore

/// A path as a client spelled it, made sense of. Pure; nothing is looked up.
///
/// Clients spell an absolute path in three ways behind `/files/`:
///
///     /files//etc/hosts        double slash         → absolute
///     /files/%2Fetc%2Fhosts    whole path encoded   → absolute
///     /files/etc/hosts         leading slash lost   → relative, else (reads only) absolute: `legacy`
///
/// so the raw target is cut and decoded segment by segment, and nothing is collapsed before that.
package struct FilePath: Hashable, Sendable {
    /// Absolute and without `.`, `..` or empty components.
    package let absolute: String
    /// What the client may have meant if nothing is at `absolute`; nil where only one reading is possible.
    package let legacy: String?

    /// The kernel's PATH_MAX and NAME_MAX, less the terminating zero.
    static let maxBytes = 4095
    static let maxComponentBytes = 255

    /// - Parameter raw: what stands behind `/files/` in the raw request target.
    package init(rawTarget raw: String, directory: String) throws(Problem) {
        let decoded = try Self.percentDecoded(raw, plusIsSpace: false)
        try self.init(decoded, directory: directory)
    }

    /// - Parameter text: a path in a JSON field or a decoded query.
    package init(_ text: String, directory: String) throws(Problem) {
        guard !text.isEmpty else { throw .invalid("path", "path must not be empty") }
        let components = try Self.components(text)
        if text.utf8.first == UInt8(ascii: "/") {
            absolute = Self.join([], components)
            legacy = nil
        } else {
            let base = directory.utf8.split(separator: UInt8(ascii: "/")).map { String(Substring($0)) }
            absolute = Self.join(base, components)
            legacy = components.isEmpty ? nil : Self.join([], components)
        }
        guard absolute.utf8.count <= Self.maxBytes else { throw Self.tooLong }
    }

    private static func components(_ text: String) throws(Problem) -> [String] {
        guard text.utf8.count <= maxBytes else { throw tooLong }
        var components: [String] = []
        // By bytes, as the kernel does: a combining mark behind it makes a slash another Character.
        for bytes in text.utf8.split(separator: UInt8(ascii: "/")) {
            let part = Substring(bytes)
            guard part != "." else { continue }
            // Refused, not resolved: what `a/../b` names depends on whether `a` is a link.
            guard part != ".." else { throw .invalid("path", "path must not contain \"..\"") }
            guard !part.utf8.contains(0) else { throw .invalid("path", "path must not contain a NUL") }
            guard part.utf8.count <= maxComponentBytes else {
                throw .invalid("path", "path has a component of more than \(maxComponentBytes) bytes")
            }
            components.append(String(part))
        }
        return components
    }

    private static func join(_ base: [String], _ components: [String]) -> String {
        "/" + (base + components).joined(separator: "/")
    }

    private static var tooLong: Problem { .invalid("path", "path is longer than \(maxBytes) bytes") }

    /// - Parameter plusIsSpace: as in a query.
    package static func percentDecoded(_ raw: String, plusIsSpace: Bool, field: String = "path") throws(Problem)
        -> String
    {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(raw.utf8.count)
        var rest = raw.utf8[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "%"):
                guard let high = rest.popFirst()?.hexDigit, let low = rest.popFirst()?.hexDigit else {
                    throw .invalid(field, "\(field) has a % that is not followed by two hexadecimal digits")
                }
                bytes.append(high << 4 | low)
            case UInt8(ascii: "+") where plusIsSpace: bytes.append(UInt8(ascii: " "))
            default: bytes.append(byte)
            }
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw .invalid(field, "\(field) is not valid UTF-8")
        }
        return text
    }
}

/// The pairs of a raw query.
package struct QueryReader: Sendable {
    private let pairs: [(name: Substring, value: Substring)]

    package init(_ query: String) {
        pairs = query.split(separator: "&").map { pair in
            guard let equals = pair.firstIndex(of: "=") else { return (pair, "") }
            return (pair[..<equals], pair[pair.index(after: equals)...])
        }
    }

    package func has(_ name: String) -> Bool { pairs.contains { $0.name == name } }

    /// Every value of that name, decoded.
    package func strings(_ name: String) throws(Problem) -> [String] {
        var values: [String] = []
        for pair in pairs where pair.name == name {
            values.append(try FilePath.percentDecoded(String(pair.value), plusIsSpace: true, field: name))
        }
        return values
    }

    /// The first value of that name, decoded.
    package func string(_ name: String) throws(Problem) -> String? {
        guard let pair = pairs.first(where: { $0.name == name }) else { return nil }
        return try FilePath.percentDecoded(String(pair.value), plusIsSpace: true, field: name)
    }

    package func integer(_ name: String, in range: ClosedRange<Int>) throws(Problem) -> Int? {
        guard let text = try string(name), !text.isEmpty else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw .invalid(
                name, "\(name) must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    package func bool(_ name: String) throws(Problem) -> Bool? {
        switch try string(name) {
        case nil, "": nil
        case "true", "1": true
        case "false", "0": false
        default: throw .invalid(name, "\(name) must be true or false")
        }
    }
}

extension UInt8 {
    fileprivate var hexDigit: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
