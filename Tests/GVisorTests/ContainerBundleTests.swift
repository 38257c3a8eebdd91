import ComputeCore
import GVisor
import Glibc
import LinuxHost
import Testing

struct ContainerBundleTests {
    private let bundle = ContainerBundle(
        rootfs: "/disks/one/rootfs", arguments: ["/init", "--flag"], environment: ["B": "2", "A": "1 = 1"],
        workingDirectory: "/work", hostname: "one", networkNamespacePath: "/run/netns/one", maxOpenFiles: 1000)

    private func value(_ path: String..., in root: JSONValue) throws -> JSONValue {
        try path.reduce(root) { value, key in
            guard case .object(let fields) = value else { throw RunscError(.failed, "no object above \(key)") }
            return try #require(fields[key])
        }
    }

    @Test func theConfigurationSaysWhatToRun() throws {
        let config = bundle.configuration()
        #expect(try value("process", "args", in: config) == .array([.string("/init"), .string("--flag")]))
        #expect(try value("process", "env", in: config) == .array([.string("A=1 = 1"), .string("B=2")]))
        #expect(try value("process", "cwd", in: config) == .string("/work"))
        #expect(
            try value("root", in: config) == .object(["path": .string("/disks/one/rootfs"), "readonly": .bool(false)]))
        #expect(try value("hostname", in: config) == .string("one"))
    }

    @Test func namespacesAreNewButTheNetworks() throws {
        guard case .array(let namespaces) = try value("linux", "namespaces", in: bundle.configuration()) else {
            throw RunscError(.failed, "no list")
        }
        let network = JSONValue.object(["type": .string("network"), "path": .string("/run/netns/one")])
        #expect(
            Set(namespaces) == Set(["pid", "mount", "ipc", "uts"].map { .object(["type": .string($0)]) } + [network]))
    }

    @Test func noRightReachesBeyondTheContainer() throws {
        let never = ["CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_PTRACE", "CAP_MKNOD", "CAP_SYS_MODULE"]
        #expect(Set(ContainerBundle.capabilities).isDisjoint(with: never))
        let config = bundle.configuration()
        #expect(try value("process", "capabilities", "inheritable", in: config) == .array([]))
        #expect(try value("process", "capabilities", "ambient", in: config) == .array([]))
        // Every mount is made inside: none has a source on the host, none is a device.
        guard case .array(let mounts) = try value("mounts", in: config) else { throw RunscError(.failed, "no list") }
        for mount in mounts {
            guard case .string(let type) = try value("type", in: mount) else { throw RunscError(.failed, "no type") }
            #expect(["proc", "sysfs", "tmpfs", "devpts"].contains(type))
            #expect(try value("source", in: mount) == .string(type))
            // Both are to count against the disk.
            #expect(try value("destination", in: mount) != .string("/tmp"))
            #expect(try value("destination", in: mount) != .string("/var/tmp"))
        }
    }

    @Test func aFolderOfTheHostIsMountedAsItIsNamedAndGivesNoRights() throws {
        var bundle = bundle
        bundle.hostFolders = [
            .init(source: "/disks/two", destination: "/data", isReadOnly: false),
            .init(source: "/disks/three", destination: "/home/user/models", isReadOnly: true),
        ]
        guard case .array(let mounts) = try value("mounts", in: bundle.configuration()) else {
            throw RunscError(.failed, "no list")
        }
        let bound = try mounts.filter { try value("type", in: $0) == .string("bind") }
        #expect(
            bound == [
                .object([
                    "destination": .string("/data"), "type": .string("bind"), "source": .string("/disks/two"),
                    "options": .array(["bind", "rw", "nosuid", "nodev"].map(JSONValue.string)),
                ]),
                .object([
                    "destination": .string("/home/user/models"), "type": .string("bind"),
                    "source": .string("/disks/three"),
                    "options": .array(["bind", "ro", "nosuid", "nodev"].map(JSONValue.string)),
                ]),
            ])
    }

    @Test func aTemporaryFolderThatLeadsElsewhereIsNotFollowed() async throws {
        let tools = Tools.ofThisProcess
        let folder = try await tools.run("mktemp", ["-d"]).standardOutput.trimmed
        defer { removeTree(folder) }
        try await tools.run("mkdir", ["\(folder)/rootfs", "\(folder)/elsewhere"])
        try await tools.run("ln", ["-s", "\(folder)/elsewhere", "\(folder)/rootfs/tmp"])
        var bundle = bundle
        bundle.rootfs = "\(folder)/rootfs"
        try bundle.write(to: folder)
        #expect(access("\(folder)/config.json", R_OK) == 0)
        #expect(try await tools.run("ls", ["-A", "\(folder)/elsewhere"]).standardOutput == "")
    }
}
