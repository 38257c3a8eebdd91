import Foundation
import Glibc
import LinuxHost
import Testing

/// Whether this machine lets us test networks: root, iproute2, nftables and the CNI plugins.
let networksCanBeTested: Bool = {
    let tools = Tools.ofThisProcess
    let plugins = ["/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"].contains {
        access("\($0)/bridge", X_OK) == 0 && access("\($0)/host-local", X_OK) == 0
    }
    return geteuid() == 0 && plugins && tools.path(of: "ip") != nil && tools.path(of: "nft") != nil
}()

/// Runs `body` with a network of its own and removes that, however `body` ends.
func withNetwork(
    internet: Bool = true, dns: [String] = [], subnet: String? = nil, pluginDirectories: [String]? = nil,
    deadline: Duration = .seconds(20), tools: Tools = .ofThisProcess,
    _ body: (HostNetwork) async throws -> Void
) async throws {
    let tag = "t" + String(UInt32.random(in: 0...0xFFFFF) | 0x100000, radix: 16)
    let folder = "/tmp/host-network-\(tag)"
    var settings = HostNetwork.Settings(
        tag: tag, stateDirectory: folder, internet: internet, dns: dns, subnet: subnet, deadline: deadline)
    let real = HostNetwork(settings: settings, tools: .ofThisProcess)
    if let pluginDirectories { settings.pluginDirectories = pluginDirectories }
    let network = HostNetwork(settings: settings, tools: tools)
    do { try await body(network) } catch {
        await real.teardown()
        throw error
    }
    await real.teardown()
    #expect(real.names() == [])
    #expect(access("/sys/class/net/\(real.bridge)", F_OK) != 0)
    #expect((try? await Tools.ofThisProcess.run("nft", ["list", "table", "inet", real.table])) == nil)
    #expect(access(folder, F_OK) != 0)
}

/// A folder with programs that do what the test says in the place of the real ones.
func withFakeTools(_ scripts: [String: String], _ body: (String) async throws -> Void) async throws {
    let folder = "/tmp/fake-tools-\(UInt32.random(in: 0 ... .max))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    for (name, script) in scripts {
        try "#!/bin/sh\n\(script)\n".write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
        chmod("\(folder)/\(name)", 0o755)
    }
    try await body(folder)
}
