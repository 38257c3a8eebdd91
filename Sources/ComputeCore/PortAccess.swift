/// Who reaches the servers in a compute through its URLs.
package enum PortVisibility: String, Hashable, Sendable, CaseIterable {
    /// Whoever knows the URL.
    case `public`
    /// Who has a token of the compute.
    case `private`
}

/// The visibility of each port of a compute: its own, or that of all which have none.
package struct PortAccess: Hashable, Sendable {
    package var usual: PortVisibility
    package var ports: [Int: PortVisibility]

    /// With their own visibility: more servers than a Sidekick keeps, and a few KiB in an event.
    package static let maxPorts = 64

    package init(usual: PortVisibility = .public, ports: [Int: PortVisibility] = [:]) {
        self.usual = usual
        self.ports = ports
    }

    package static let open = PortAccess()

    package func visibility(of port: Int) -> PortVisibility { ports[port] ?? usual }
    package func isPrivate(_ port: Int) -> Bool { visibility(of: port) == .private }

    /// An entry for each; `default` is that of all others.
    package var document: JSONValue {
        var entries: [String: JSONValue] = [:]
        if usual != .public { entries[PortChanges.usual] = Self.entry(usual) }
        for (port, visibility) in ports { entries[String(port)] = Self.entry(visibility) }
        return .object(entries)
    }

    private static func entry(_ visibility: PortVisibility) -> JSONValue {
        .object(["visibility": .string(visibility.rawValue)])
    }

    /// What was recorded; fields of a newer version are tolerated.
    package init(recorded entries: [String: JSONValue]) throws(Problem) {
        self = try PortChanges(entries, prefix: "ports", isStrict: false).applied(to: .open)
    }
}

extension PortAccess: Codable {
    package init(from decoder: any Decoder) throws {
        guard case .object(let entries) = try JSONValue(from: decoder) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "ports must be an object"))
        }
        try self.init(recorded: entries)
    }

    package func encode(to encoder: any Encoder) throws { try document.encode(to: encoder) }
}

/// Entries to set, port by port; those that are null are removed, and all others stay.
package struct PortChanges: Hashable, Sendable {
    static let usual = "default"

    /// nil for the key: all ports without an entry. nil for the value: no entry any more.
    package var entries: [Int?: PortVisibility?]

    package init(_ order: [String: JSONValue], prefix: String) throws(Problem) {
        try self.init(order, prefix: prefix, isStrict: true)
    }

    init(_ order: [String: JSONValue], prefix: String, isStrict: Bool) throws(Problem) {
        let fields = FieldReader(order, prefix: prefix)
        entries = [:]
        for name in order.keys.sorted() {
            let path = String(fields.path(name).prefix(64))
            let port = Int(name)
            guard name == Self.usual || port.map({ (1...65535).contains($0) && String($0) == name }) == true else {
                throw .invalid(path, "\(path) is no port: \(prefix) has ports from 1 to 65535 and \(Self.usual)")
            }
            let key = name == Self.usual ? nil : port
            guard let entry = try fields.object(name) else {
                entries.updateValue(nil, forKey: key)
                continue
            }
            for unknown in entry.keys.sorted() where isStrict && unknown != "visibility" {
                let path = String("\(path).\(unknown)".prefix(128))
                throw Problem(
                    status: 400, code: .unsupportedField, message: "\(path) is not known; a port has visibility",
                    field: path)
            }
            let word = try FieldReader(entry, prefix: path).requiredString("visibility")
            guard let visibility = PortVisibility(rawValue: word) else {
                throw .invalid("\(path).visibility", "\(path).visibility must be public or private")
            }
            entries.updateValue(visibility, forKey: key)
        }
    }

    package func applied(to access: PortAccess) -> PortAccess {
        var access = access
        for (key, visibility) in entries {
            if let port = key { access.ports[port] = visibility } else { access.usual = visibility ?? .public }
        }
        return access
    }
}
