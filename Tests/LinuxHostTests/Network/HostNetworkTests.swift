import Foundation
import Glibc
import LinuxHost
import Testing

@Suite(
    .timeLimit(.minutes(3)),
    .enabled(if: networksCanBeTested, "needs root, iproute2, nftables and the CNI plugins"))
struct HostNetworkTests {
    @Test func manyAtOnceGetAddressesOfTheirOwnAndLeaveNothing() async throws {
        try await withNetwork { network in
            try await network.prepare()
            let names = (0..<16).map { "m\($0)" }
            let ends = try await withThrowingTaskGroup(of: HostNetwork.Attachment.self) { group in
                for name in names { group.addTask { try await network.attach(name) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(Set(ends.map(\.address)).count == names.count)
            #expect(network.names() == names.sorted())
            try await withThrowingTaskGroup(of: Void.self) { group in
                for name in names { group.addTask { try await network.detach(name) } }
                try await group.waitForAll()
            }
            #expect(network.names() == [])
            let ports = try FileManager.default.contentsOfDirectory(atPath: "/sys/class/net/\(network.bridge)/brif")
            #expect(ports == [])
        }
    }

    @Test func preparingAgainKeepsWhatIsConnected() async throws {
        try await withNetwork { network in
            try await network.prepare()
            let end = try await network.attach("a")
            try await network.prepare()
            let server = try NamespaceSocket.listening(in: end.namespacePath, at: "0.0.0.0")
            #expect(try NamespaceSocket.reaches(end.address, port: server.port, from: nil))
            #expect(try await network.attach("b").gateway == end.gateway)
        }
    }

    @Test func anEndThatIsThereIsReplacedAndOneThatIsNotIsNoError() async throws {
        try await withNetwork { network in
            try await network.detach("never-there")
            try await network.prepare()
            _ = try await network.attach("a")
            let again = try await network.attach("a")
            #expect(network.names() == ["a"])
            let server = try NamespaceSocket.listening(in: again.namespacePath, at: "0.0.0.0")
            #expect(try NamespaceSocket.reaches(again.address, port: server.port, from: nil))
            try await network.detach("a")
            try await network.detach("a")
            #expect(network.names() == [])
        }
    }

    /// Each is what a `kill -9` between two steps leaves.
    @Test func halfMadeEndsAreFoundAndRemoved() async throws {
        try await withNetwork { network in
            try await network.prepare()
            let tag = network.settings.tag
            // A namespace whose mount was not made, or went with a reboot; one without an interface.
            close(open("/run/netns/csdk-\(tag)-file", O_CREAT | O_WRONLY | O_CLOEXEC, 0o600))
            try await Tools.ofThisProcess.run("ip", ["netns", "add", "csdk-\(tag)-bare"])
            // An address without a namespace.
            let leased = try await network.attach("lease")
            umount2(leased.namespacePath, 2)
            unlink(leased.namespacePath)
            #expect(network.names() == ["bare", "file", "lease"])
            for name in network.names() { try await network.detach(name) }
            #expect(network.names() == [])
            #expect(try await network.attach("file").gateway == leased.gateway)
        }
    }

    /// Somebody empties the data folder under living containers.
    @Test(arguments: [true, false]) func endsAreRemovedAlsoWhenTheirRecordsAreGone(_ leasesToo: Bool) async throws {
        try await withNetwork { network in
            try await network.prepare()
            let end = try await network.attach("a")
            // What runs inside keeps the namespace, and with it the port.
            let socket = try NamespaceSocket.listening(in: end.namespacePath, at: "0.0.0.0")
            let folder = network.settings.stateDirectory
            try FileManager.default.removeItem(atPath: leasesToo ? folder : "\(folder)/subnet")
            #expect(try await network.detach("a")?.contains("subnet") == true)
            #expect(try await network.detach("a") == nil)
            #expect(network.names() == [])
            #expect(try NamespaceSocket.connect(from: nil, to: end.address, port: socket.port) != .connected)

            _ = try await network.prepare()
            _ = try await network.attach("b")
            try FileManager.default.removeItem(atPath: leasesToo ? folder : "\(folder)/subnet")
            // A new start of the service meets them as well.
            try await network.prepare()
            #expect(network.names() == [])
            _ = try await network.attach("b")
        }
    }

    @Test func aPortOutlivesItsNamespacesFileOnlyUntilItIsDetached() async throws {
        try await withNetwork { network in
            try await network.prepare()
            let end = try await network.attach("a")
            // A socket keeps the namespace alive as a process would.
            let socket = try NamespaceSocket.listening(in: end.namespacePath, at: "0.0.0.0")
            umount2(end.namespacePath, 2)
            unlink(end.namespacePath)
            #expect(try NamespaceSocket.reaches(end.address, port: socket.port, from: nil))
            #expect(network.names() == ["a"])
            try await network.detach("a")
            #expect(network.names() == [])
            #expect(try NamespaceSocket.connect(from: nil, to: end.address, port: socket.port) != .connected)
        }
    }

    @Test func aFailingPluginFailsTheAttachAndWhatItLeftIsRemovedLater() async throws {
        let bad = ["bridge": "echo broken >&2; exit 7", "host-local": "exit 7"]
        try await withFakeTools(bad) { plugins in
            try await withNetwork(pluginDirectories: [plugins]) { network in
                try await network.prepare()
                let error = await #expect(throws: HostError.self) { try await network.attach("a") }
                #expect(error?.code == .failed)
                #expect(error?.message.contains("broken") == true)
                let healed = HostNetwork(
                    settings: .init(
                        tag: network.settings.tag, stateDirectory: network.settings.stateDirectory, internet: true),
                    tools: .ofThisProcess)
                for name in healed.names() { try await healed.detach(name) }
                #expect(healed.names() == [])
                _ = try await healed.attach("a")
            }
        }
    }

    @Test func aHangingPluginCostsItsDeadlineOnly() async throws {
        try await withFakeTools(["bridge": "exec sleep 1000", "host-local": "exec sleep 1000"]) { plugins in
            try await withNetwork(pluginDirectories: [plugins], deadline: .seconds(3)) { network in
                try await network.prepare()
                let error = await #expect(throws: HostError.self) { try await network.attach("a") }
                #expect(error?.code == .deadlineExceeded)
            }
        }
    }

    @Test func aPortThatCannotBeClosedIsNoAttachment() async throws {
        let bridge = try #require(Tools.ofThisProcess.path(of: "bridge"))
        let script = "read -r line; case $line in *isolated*) exit 1;; *) exec \(bridge) \"$@\";; esac"
        try await withFakeTools(["bridge": script]) { folder in
            try await withNetwork(tools: Tools(path: folder)) { network in
                try await network.prepare()
                await #expect(throws: HostError.self) { try await network.attach("a") }
                #expect(network.names() == [])
            }
        }
    }

    @Test func whenAllAddressesAreGivenOutItSaysSo() async throws {
        // Room for five.
        try await withNetwork(subnet: "10.231.79.0/29") { network in
            try await network.prepare()
            for n in 0..<5 { _ = try await network.attach("n\(n)") }
            let error = await #expect(throws: HostError.self) { try await network.attach("more") }
            #expect(error?.code == .exhausted, "\(error as Any)")
            try await network.detach("n3")
            _ = try await network.attach("more")
            for name in network.names() { try await network.detach(name) }
        }
    }

    @Test func aMachineWithoutTheToolsIsToldWhatIsMissing() async throws {
        try await withNetwork(pluginDirectories: ["/nowhere"]) { network in
            let error = await #expect(throws: HostError.self) { try await network.prepare() }
            #expect(error?.code == .unavailable)
            #expect(error?.message.contains("/nowhere") == true)
        }
        try await withNetwork(subnet: "127.0.0.0/24") { network in
            let error = await #expect(throws: HostError.self) { try await network.prepare() }
            #expect(error?.message.contains("overlaps") == true)
        }
    }
}
