import ComputeCore
import FoundationEssentials
import Glibc

extension HostNetwork {
    /// Gives a container a network namespace with one address on the bridge. What was there under the name is removed.
    ///
    /// When it returns, the port is closed to its neighbours and to their names; so start nothing inside before.
    package func attach(_ name: String) async throws(HostError) -> Attachment {
        if access(namespacePath(of: name), F_OK) == 0 { try await detach(name) }
        do throws(HostError) {
            return try await plug(name)
        } catch {
            // In a task of its own: ours may be the one that was cancelled, and a half-made end must not stay.
            await Task { try? await detach(name) }.value
            throw error
        }
    }

    private func plug(_ name: String) async throws(HostError) -> Attachment {
        let subnet = try subnet()
        let bridgePlugin = try plugin("bridge")
        // IPv6 is switched off for interfaces to come, before the only one comes; loopback keeps ::1, which programs
        // expect to be there.
        let script = """
            ip netns add "$1" </dev/null || exit
            nsenter --net="$CNI_NETNS" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6; exec ip link set lo up' </dev/null || exit
            exec "$2"
            """
        let said = try await run(
            "sh", ["-c", script, "sh", namespace(of: name), bridgePlugin],
            environment: pluginEnvironment("ADD", name, namespace: namespacePath(of: name)),
            input: pluginInput(subnet), "cannot attach \(name) to the network")
        let added = try PluginResult(said)
        let hardware = IPv4Network.hardwareAddress(of: added.address)
        let close = """
            ip -n "$1" link set dev eth0 address "$3" || exit
            printf 'neigh replace %s lladdr %s nud permanent dev %s\\nlink set dev %s alias %s\\n' "$4" "$3" "$5" "$2" "$1" | ip -batch - || exit
            printf 'link set dev %s isolated on learning off locked on\\nfdb replace %s dev %s master static\\n' "$2" "$3" "$2" | bridge -batch - || exit
            """
        let address = IPv4Network.text(added.address)
        try await run(
            "sh", ["-c", close, "sh", namespace(of: name), added.port, hardware, address, bridge],
            "cannot close \(name)'s port to its neighbours")
        return Attachment(
            namespacePath: namespacePath(of: name), address: address, gateway: IPv4Network.text(subnet.first + 1))
    }

    /// Removes a container's end: interface, address, namespace. Nothing happens when there is none.
    package func detach(_ name: String) async throws(HostError) {
        let path = namespacePath(of: name)
        let exists = access(path, F_OK) == 0
        // The file of a namespace whose mount was never made, or went with a reboot, is an empty file.
        let isNamespace = exists && NamespaceFile.isMounted(path)
        if isNamespace || leases().contains(where: { $0.name == name }) {
            let subnet = try subnet()
            try await run(
                try plugin("bridge"), [],
                environment: pluginEnvironment("DEL", name, namespace: isNamespace ? path : ""),
                input: pluginInput(subnet), "cannot detach \(name) from the network")
        }
        // Still there when its namespace has no file any more but a process inside.
        for port in ports() where port.name == name {
            try await run("ip", ["link", "del", port.interface], "cannot remove \(name)'s port")
        }
        if exists { try NamespaceFile.remove(path) }
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
