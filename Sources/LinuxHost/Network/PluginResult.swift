import ComputeCore

/// What the plugin `bridge` answered to ADD.
struct PluginResult {
    var address: UInt32
    /// The machine's end of the pair of interfaces.
    var port: String

    init(_ text: String) throws(HostError) {
        guard case .object(let fields)? = try? JSONDocument.parse(Array(text.utf8)),
            case .array(let interfaces)? = fields["interfaces"], case .array(let addresses)? = fields["ips"],
            case .object(let first)? = addresses.first, case .string(let block)? = first["address"],
            let network = block.split(separator: "/").first, let address = IPv4Network.address(network),
            let port = interfaces.compactMap({ Self.outerEnd($0) }).first
        else { throw HostError(.failed, "the network plugin's answer makes no sense: \(text.prefix(500))") }
        self.address = address
        self.port = port
    }

    private static func outerEnd(_ interface: JSONValue) -> String? {
        guard case .object(let fields) = interface, case .string(let name)? = fields["name"], name.hasPrefix("veth")
        else { return nil }
        if case .string(let sandbox)? = fields["sandbox"], !sandbox.isEmpty { return nil }
        return name
    }
}
