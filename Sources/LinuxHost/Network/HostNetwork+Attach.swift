import CLinux
import ComputeCore
import FoundationEssentials
import Glibc

extension HostNetwork {
    /// What `host-local` says when every address is given out, and `bridge` of a bridge that takes no more ports.
    private static let signsOfFullness = ["no IP addresses available", "exchange full"]

    /// Gives a container a network namespace with one address on the bridge. What was there under the name is removed.
    ///
    /// When it returns, the port is closed to its neighbours and to their names; so start nothing inside before.
    /// - Throws: `.exhausted` when there is no address left.
    package func attach(_ name: String) async throws(HostError) -> Attachment {
        if access(namespacePath(of: name), F_OK) == 0 { try await detach(name) }
        do throws(HostError) {
            return try await plug(name)
        } catch {
            // In a task of its own: ours may be the one that was cancelled, and a half-made end must not stay.
            _ = await Task { try? await detach(name) }.value
            throw error
        }
    }

    /// Each program that is started costs milliseconds of a container's start; so what the kernel does by itself is
    /// asked of it directly.
    private func plug(_ name: String) async throws(HostError) -> Attachment {
        let subnet = try subnet()
        let bridgePlugin = try plugin("bridge")
        let path = namespacePath(of: name)
        try await ThreadOfItsOwn.run { () throws(HostError) in
            try check(clinux_network_namespace_make(path), "cannot make the network namespace of \(name)")
            // Switched off for interfaces to come, before the only one comes; loopback keeps ::1, which programs
            // expect to be there. Where it cannot be, the rules still let nothing through.
            SmallFile.set("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1")
            try check(clinux_interface_raise("lo"), "cannot raise the loopback interface of \(name)")
        }
        let said: String
        do throws(HostError) {
            said = try await run(
                bridgePlugin, [], environment: pluginEnvironment("ADD", name, namespace: path),
                input: pluginInput(subnet), "cannot attach \(name) to the network")
        } catch {
            guard let plugin = error.cause as? ToolError, Self.signsOfFullness.contains(where: plugin.detail.contains)
            else { throw error }
            throw HostError(.exhausted, error.message, cause: plugin)
        }
        let added = try PluginResult(said)
        try await tie(added, of: name)
        return Attachment(
            namespacePath: path, address: IPv4Network.text(added.address),
            gateway: IPv4Network.text(subnet.first + 1))
    }

    /// Ties the port to the one address and hardware address that may be used on it, and cuts it off its neighbours.
    private func tie(_ added: PluginResult, of name: String) async throws(HostError) {
        let (bridge, alias, path, port) = (bridge, namespace(of: name), namespacePath(of: name), added.port)
        try await ThreadOfItsOwn.run { () throws(HostError) in
            // First, so that from here on the port is found by its container's name.
            guard SmallFile.set("/sys/class/net/\(port)/ifalias", alias) else {
                throw HostError("cannot name the port of \(name)", errno: errno)
            }
            let hardware = IPv4Network.hardwareBytes(of: added.address)
            try check(clinux_neighbour_pin(bridge, added.address, hardware), "cannot pin the address of \(name)")
            try check(clinux_network_namespace_enter(path), "cannot enter the network namespace of \(name)")
            try check(
                clinux_interface_set_hardware_address("eth0", hardware), "cannot set the hardware address of \(name)")
        }
        let commands = """
            link set dev \(port) isolated on learning off locked on
            fdb replace \(IPv4Network.hardwareAddress(of: added.address)) dev \(port) master static

            """
        try await run("bridge", ["-batch", "-"], input: commands, "cannot close \(name)'s port to its neighbours")
    }

    /// Removes a container's end: interface, address, namespace. Nothing happens when there is none.
    /// - Returns: what was not found as it was left, in words for the log.
    @discardableResult
    package func detach(_ name: String) async throws(HostError) -> String? {
        var warning: String?
        let path = namespacePath(of: name)
        let exists = access(path, F_OK) == 0
        // The file of a namespace whose mount was never made, or went with a reboot, is an empty file.
        let isNamespace = exists && NamespaceFile.isMounted(path)
        let leased = leases().filter { $0.name == name }.map(\.address)
        try await release(name)
        if isNamespace || !leased.isEmpty {
            if let subnet = try? subnet() {
                try await run(
                    try plugin("bridge"), [],
                    environment: pluginEnvironment("DEL", name, namespace: isNamespace ? path : ""),
                    input: pluginInput(subnet), "cannot detach \(name) from the network")
            } else {
                // Somebody emptied the folder. Without a subnet the plugin has nothing to say, and what it would do
                // beside forgetting the address is done below.
                for address in leased { unlink("\(leaseDirectory)/\(bridge)/\(address)") }
                warning = "the subnet of the containers' network is forgotten: \(subnetFile) is missing"
            }
        }
        // Still there when its namespace has no file any more but a process inside.
        for port in ports() where port.name == name {
            do throws(HostError) {
                try await run("ip", ["link", "del", port.interface], "cannot remove \(name)'s port")
            } catch {
                // The kernel takes it away with its namespace, some time after that.
                if ports().contains(where: { $0.interface == port.interface }) { throw error }
            }
        }
        if exists { try NamespaceFile.remove(path) }
        return warning
    }

    // MARK: - Talking to the plugin

    private func pluginEnvironment(_ command: String, _ name: String, namespace: String) -> [String: String] {
        [
            "CNI_COMMAND": command, "CNI_CONTAINERID": name, "CNI_NETNS": namespace, "CNI_IFNAME": "eth0",
            "CNI_PATH": settings.pluginDirectories.joined(separator: ":"),
        ]
    }

    private func pluginInput(_ subnet: IPv4Network) throws(HostError) -> String {
        let range: JSONValue = .object([
            "subnet": .string("\(subnet)"), "gateway": .string(IPv4Network.text(subnet.first + 1)),
        ])
        let input: JSONValue = .object([
            "cniVersion": .string("0.4.0"), "name": .string(bridge), "type": .string("bridge"),
            "bridge": .string(bridge), "isGateway": .bool(false), "ipMasq": .bool(false),
            "mtu": .int(Int64(Uplink.mtu())),
            "ipam": .object([
                "type": .string("host-local"), "dataDir": .string(leaseDirectory),
                "ranges": .array([.array([range])]),
                "routes": .array([.object(["dst": .string("0.0.0.0/0")])]),
            ]),
        ])
        do {
            return String(decoding: try JSONEncoder().encode(input), as: UTF8.self)
        } catch {
            throw HostError(.failed, "cannot write the network's description", cause: error)
        }
    }
}

/// - Parameter status: 0 or -errno.
private func check(_ status: Int32, _ complaint: String) throws(HostError) {
    if status != 0 { throw HostError(complaint, errno: -status) }
}
