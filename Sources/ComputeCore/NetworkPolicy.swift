/// What a compute may reach, below what its runtime lets anybody reach: it narrows that and never widens it.
///
/// Of an address that the runtime lets through, the first line that fits decides:
///
/// ```
///   in allowOut   yes
///   in denyOut    no
///   any other     as `internet` says
/// ```
/// Who answers for names may be asked while anything may be reached, unless he is in denyOut.
package struct NetworkPolicy: Hashable, Sendable {
    package var internet: Bool
    package var allowOut: [IPBlock]
    package var denyOut: [IPBlock]

    /// Of each list: more than any service's own list of its networks, and a few KiB in an event.
    package static let maxEntries = 256

    package init(internet: Bool = true, allowOut: [IPBlock] = [], denyOut: [IPBlock] = []) {
        self.internet = internet
        self.allowOut = allowOut
        self.denyOut = denyOut
    }

    /// Nothing is narrowed.
    package static let open = NetworkPolicy()
    package var isOpen: Bool { internet && denyOut.isEmpty }

    package var document: JSONValue {
        var fields: [String: JSONValue] = ["internet": .bool(internet)]
        for (name, blocks) in [("allowOut", allowOut), ("denyOut", denyOut)] where !blocks.isEmpty {
            fields[name] = .array(blocks.map { .string($0.description) })
        }
        return .object(fields)
    }

    /// What was recorded; fields of a newer version are tolerated.
    package init(recorded fields: FieldReader) throws(Problem) {
        self.init(
            internet: try fields.bool("internet") ?? true, allowOut: try Self.blocks("allowOut", fields),
            denyOut: try Self.blocks("denyOut", fields))
    }

    /// What somebody orders. Whoever asks for a narrower network under a wrong name would get a wider one in silence, and
    /// so would he who lists what is allowed and denies nothing.
    package init(_ order: [String: JSONValue], prefix: String) throws(Problem) {
        let fields = FieldReader(order, prefix: prefix)
        let known = ["internet", "allowOut", "denyOut"]
        for name in order.keys.sorted() where !known.contains(name) {
            throw Problem(
                status: 400, code: .unsupportedField,
                message: "\(fields.path(name).prefix(96)) is not known; \(prefix) has internet, allowOut and denyOut",
                field: String(fields.path(name).prefix(96)))
        }
        try self.init(recorded: fields)
        for (index, block) in allowOut.enumerated() {
            guard let closed = IPBlock.notInternet.first(where: { $0.contains(block) }) else { continue }
            let path = "\(fields.path("allowOut"))[\(index)]"
            throw .invalid(path, "\(path) lies in \(closed), which no sandbox reaches, whatever is allowed")
        }
        guard allowOut.isEmpty || !internet || !denyOut.isEmpty else {
            let path = fields.path("allowOut")
            throw .invalid(
                path,
                "\(path) allows nothing new while everything is: say \(prefix).internet false, or \(prefix).denyOut")
        }
    }

    private static func blocks(_ name: String, _ fields: FieldReader) throws(Problem) -> [IPBlock] {
        let values = try fields.array(name) ?? []
        guard values.count <= maxEntries else {
            throw .invalid(fields.path(name), "\(fields.path(name)) holds more than \(maxEntries)")
        }
        var blocks: [IPBlock] = []
        for (index, value) in values.enumerated() {
            let path = "\(fields.path(name))[\(index)]"
            guard case .string(let text) = value else {
                throw .invalid(path, "\(path) must be a string, not \(value.typeName)")
            }
            do throws(IPBlock.Fault) { blocks.append(try IPBlock(text)) } catch { throw fault(error, path) }
        }
        return blocks
    }

    private static func fault(_ fault: IPBlock.Fault, _ path: String) -> Problem {
        switch fault {
        case .name:
            Problem(
                status: 400, code: .unsupportedField,
                message:
                    "\(path) names a host; only addresses and blocks of them, such as 203.0.113.0/24, can be given",
                field: path)
        case .notAnAddress:
            .invalid(path, "\(path) must be an address or a block of them, such as 203.0.113.7 or 2001:db8::/32")
        case .hasHostBits(let block): .invalid(path, "\(path) has bits beyond its length; its block is \(block)")
        }
    }
}

extension NetworkPolicy: Codable {
    package init(from decoder: any Decoder) throws {
        guard case .object(let fields) = try JSONValue(from: decoder) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "a network must be an object"))
        }
        try self.init(recorded: FieldReader(fields))
    }

    package func encode(to encoder: any Encoder) throws { try document.encode(to: encoder) }
}
