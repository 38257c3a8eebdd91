import ComputeCore
import FoundationEssentials
import Glibc
import Subprocess
import SystemPackage
import Testing

/// gVisor's `runsc` on this machine: runs the same executable as init process of a sandbox, in an image made of the
/// machine's own folders, read-only, with the network of the machine.
struct Runsc: Sendable {
    let path: String
    let platform: String
    /// An image with nothing in it but the executable.
    var isBare = false

    /// The one that boots here, or nil. Looked for once per test run: `RUNSC`, else PATH.
    static var found: Runsc? { get async { await search.value } }

    static let absence: Comment = "no runsc that boots: set RUNSC, or install the package, and be root"

    /// `ptrace` first: it works with the oldest builds and inside virtual machines, and an idle sandbox is idle.
    /// Never `kvm`: where /dev/kvm is there but does not work, the boot hangs.
    private static let platforms = ["ptrace", "systrap"]

    private static let search = Task { () -> Runsc? in
        guard geteuid() == 0 else { return nil }
        let named = getenv("RUNSC").map { String(cString: $0) }
        let folders = getenv("PATH").map { String(cString: $0) }?.split(separator: ":") ?? []
        let candidates = named.map { [$0] } ?? folders.map { "\($0)/runsc" }
        guard let path = candidates.first(where: { access($0, X_OK) == 0 }) else { return nil }
        // Measured: half a second. A hanging one costs this much of the suite, no more.
        let deadline = ContinuousClock.now + .seconds(60)
        for platform in platforms {
            let left = deadline - .now
            guard left > .zero else { break }
            let runsc = Runsc(path: path, platform: platform)
            if await runsc.boots(within: left) { return runsc }
        }
        return nil
    }

    private func boots(within limit: Duration) async -> Bool {
        guard let root = try? Self.scratch() else { return false }
        defer { try? FileManager.default.removeItem(atPath: root) }
        return await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                (try? await call(["do", "/bin/true"], root: root)) == .exited(0)
            }
            group.addTask {
                try? await Task.sleep(for: limit)
                return false
            }
            defer { group.cancelAll() }
            return await group.next() ?? false
        }
    }

    private static func scratch() throws -> String {
        let path = "/tmp/runsc-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        return path
    }

    private func flags(root: String) -> [String] {
        ["--platform=\(platform)", "--network=host", "--ignore-cgroups", "--root", root]
    }

    @discardableResult
    private func call(_ arguments: [String], root: String) async throws -> TerminationStatus {
        try await Subprocess.run(
            .path(FilePath(path)), arguments: Arguments(flags(root: root) + arguments),
            environment: .custom(["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"]), input: .none, output: .discarded,
            error: .discarded
        ).terminationStatus
    }

    /// The folder's name, which is unique: builds of 2022 name a socket of the whole machine after it, whatever `--root`.
    private static func id(_ folder: String) -> String {
        folder.split(separator: "/").last.map(String.init) ?? "sidekick"
    }

    /// Writes an OCI bundle into `folder`, which is there at the same path inside, and returns what to execute.
    func command(running executable: String, _ arguments: [String], in folder: String) throws -> [String] {
        let bundle = folder + "/bundle"
        try FileManager.default.createDirectory(atPath: bundle + "/rootfs", withIntermediateDirectories: true)
        let encoder = JSONEncoder()
        let config = try encoder.encode(config([executable] + arguments, folder: folder))
        guard FileManager.default.createFile(atPath: bundle + "/config.json", contents: config) else {
            throw CocoaError(.fileWriteUnknown)
        }
        return [path] + flags(root: folder + "/runsc") + ["run", "-bundle", bundle, Self.id(folder)]
    }

    func kill(_ signal: Subprocess.Signal, in folder: String) async throws {
        try await call(["kill", Self.id(folder), "\(signal.rawValue)"], root: folder + "/runsc")
    }

    /// What the Kubernetes container is given too: without the first two an identity change fails.
    private static let capabilities: JSONValue = .array(
        ["CAP_SETUID", "CAP_SETGID", "CAP_KILL", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER"].map(JSONValue.string))

    private func config(_ arguments: [String], folder: String) -> JSONValue {
        // The executable lies outside the machine's ordinary folders, and beside it what it gives to shells and terminals.
        let executable = arguments[0]
        let beside = ["libwaitingshell.so", "terminal-signals"].map { name in
            "\(executable.prefix(upTo: executable.lastIndex(of: "/")!))/\(name)"
        }
        let known: [String] = isBare ? [] : ["/bin", "/sbin", "/lib", "/lib64", "/usr", "/etc"]
        let folders = known.filter { access($0, F_OK) == 0 }
        let sets = ["bounding", "effective", "inheritable", "permitted"].map { ($0, Self.capabilities) }
        return .object([
            "ociVersion": .string("1.0.0"),
            "process": .object([
                "user": .object(["uid": .int(0), "gid": .int(0)]),
                "args": .array(arguments.map(JSONValue.string)),
                "env": .array([.string("PATH=/usr/bin:/bin")]),
                "cwd": .string("/"),
                "capabilities": .object(Dictionary(uniqueKeysWithValues: sets)),
            ]),
            "root": .object(["path": .string("rootfs"), "readonly": .bool(true)]),
            "mounts": .array(
                [Self.mount("proc", "proc", at: "/proc"), Self.mount("tmpfs", "tmpfs", at: "/tmp")]
                    + folders.map { Self.bind($0, "ro") }
                    + ([executable] + beside).map { Self.bind($0, "ro") } + [Self.bind(folder, "rw")]),
            "linux": .object([
                "namespaces": .array(["pid", "mount", "ipc", "uts"].map { .object(["type": .string($0)]) })
            ]),
        ])
    }

    private static func mount(_ type: String, _ source: String, at path: String, _ options: [String] = []) -> JSONValue
    {
        .object([
            "destination": .string(path), "type": .string(type), "source": .string(source),
            "options": .array(options.map(JSONValue.string)),
        ])
    }

    /// /bin and others are often links: what they lead to is mounted in their place.
    private static func bind(_ path: String, _ mode: String) -> JSONValue {
        guard let real = realpath(path, nil) else { return mount("bind", path, at: path, ["bind", mode]) }
        defer { free(real) }
        return mount("bind", String(cString: real), at: path, ["bind", mode])
    }
}
