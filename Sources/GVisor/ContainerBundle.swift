package import ComputeCore

/// What an OCI runtime is told of one container: a folder with a `config.json` (OCI runtime specification 1.0).
///
/// What it has no word for cannot be asked for: no device, no privilege, no namespace of another process but the
/// network's. The root file system, the network namespace and the folders that are named are all that a container gets
/// of the host.
package struct ContainerBundle: Hashable, Sendable {
    /// A folder on the host.
    package var rootfs: String
    package var arguments: [String]
    package var environment: [String: String]
    package var workingDirectory: String
    package var hostname: String
    /// Nil makes a new one with a loopback interface.
    package var networkNamespacePath: String?
    package var maxOpenFiles: Int
    /// Folders for root alone, in memory.
    package var privateFolders: [String]
    /// What outlives the container.
    package var hostFolders: [HostFolder] = []
    var isReadOnly = false

    /// A folder of the host that is mounted inside.
    package struct HostFolder: Hashable, Sendable {
        package var source: String
        package var destination: String
        package var isReadOnly: Bool

        package init(source: String, destination: String, isReadOnly: Bool) {
            self.source = source
            self.destination = destination
            self.isReadOnly = isReadOnly
        }
    }

    package init(
        rootfs: String, arguments: [String], environment: [String: String] = [:], workingDirectory: String = "/",
        hostname: String, networkNamespacePath: String?, maxOpenFiles: Int = 65_536, privateFolders: [String] = []
    ) {
        self.rootfs = rootfs
        self.arguments = arguments
        self.environment = environment
        self.workingDirectory = workingDirectory
        self.hostname = hostname
        self.networkNamespacePath = networkNamespacePath
        self.maxOpenFiles = maxOpenFiles
        self.privateFolders = privateFolders
    }

    /// What root may do inside. Each is a right over the container's own files and processes.
    ///
    /// Without the first two an identity change fails; the others let an init serve and end the processes of other
    /// users, and package managers install. Never SYS_ADMIN, NET_ADMIN, NET_RAW, SYS_PTRACE, MKNOD. Ports below 1024
    /// are opened by the network namespace's `ip_unprivileged_port_start`, not by a right.
    package static let capabilities = [
        "CAP_SETUID", "CAP_SETGID", "CAP_KILL", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER",
    ]

    package func configuration() -> JSONValue {
        let rights = JSONValue.array(Self.capabilities.map(JSONValue.string))
        return .object([
            "ociVersion": .string("1.0.2"),
            "process": .object([
                "terminal": .bool(false),
                "user": .object(["uid": .int(0), "gid": .int(0)]),
                "args": .array(arguments.map(JSONValue.string)),
                "env": .array(environment.sorted { $0.key < $1.key }.map { .string("\($0.key)=\($0.value)") }),
                "cwd": .string(workingDirectory),
                "capabilities": .object([
                    "bounding": rights, "effective": rights, "permitted": rights,
                    // Inherited rights would reach the processes of every user.
                    "inheritable": .array([]), "ambient": .array([]),
                ]),
                "rlimits": .array([limit("RLIMIT_NOFILE", maxOpenFiles), limit("RLIMIT_CORE", 0)]),
                // `sudo` is a set-uid program. Builds without `--allow-suid` ignore that bit whatever is said here.
                "noNewPrivileges": .bool(false),
            ]),
            "root": .object(["path": .string(rootfs), "readonly": .bool(isReadOnly)]),
            "hostname": .string(hostname),
            "mounts": .array(mounts),
            "linux": .object([
                "namespaces": .array(
                    ["pid", "mount", "ipc", "uts"].map { .object(["type": .string($0)]) } + [networkNamespace])
            ]),
        ])
    }

    private var mounts: [JSONValue] {
        var mounts = [
            mount("/proc", "proc", ["nosuid", "noexec", "nodev"]),
            mount("/sys", "sysfs", ["nosuid", "noexec", "nodev", "ro"]),
            mount("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755"]),
            mount("/dev/pts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            // As container engines have it; without a size it would take all the memory there is.
            mount("/dev/shm", "tmpfs", ["nosuid", "noexec", "nodev", "mode=1777", "size=64m"]),
        ]
        // Before what is private: where a link of an image leads one there, it does not cover that.
        for folder in hostFolders {
            let options = ["bind", folder.isReadOnly ? "ro" : "rw", "nosuid", "nodev"]
            mounts.append(mount(folder.destination, "bind", options, source: folder.source))
        }
        for folder in privateFolders {
            mounts.append(mount(folder, "tmpfs", ["nosuid", "noexec", "nodev", "mode=0700", "size=16m"]))
        }
        return mounts
    }

    private var networkNamespace: JSONValue {
        var fields: [String: JSONValue] = ["type": .string("network")]
        fields["path"] = networkNamespacePath.map(JSONValue.string)
        return .object(fields)
    }

    private func limit(_ type: String, _ value: Int) -> JSONValue {
        .object(["type": .string(type), "soft": .int(Int64(value)), "hard": .int(Int64(value))])
    }

    private func mount(
        _ destination: String, _ type: String, _ options: [String], source: String? = nil
    ) -> JSONValue {
        .object([
            "destination": .string(destination), "type": .string(type),
            "source": .string(source ?? type),
            "options": .array(options.map(JSONValue.string)),
        ])
    }
}
