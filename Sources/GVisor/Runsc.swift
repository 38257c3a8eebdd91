import Glibc
package import LinuxHost
package import SystemPackage

/// gVisor's runtime on this machine, with the options that work here.
///
/// ```
///   sh -c 'echo 0 > …/cgroup.procs …; exec runsc … run --detach'      in the group before runsc starts anything
///      └─ runsc ── ends once the container's first process runs
///           ├─ runsc-sandbox   the kernel of the container; its id is in the pid file; ends with the container
///           └─ runsc-gofer     serves the root file system; ends with the sandbox
/// ```
package struct Runsc: Sendable {
    package let executable: String
    /// The folder where runsc keeps what it knows of its containers.
    package let root: String
    package let abilities: Abilities
    private let tools: Tools

    /// What was found by trying, never by comparing versions.
    package struct Abilities: Sendable, Codable, Hashable {
        package var version: String
        /// How system calls are caught: `systrap`, `ptrace` or `kvm`.
        package var platform: String
        /// `sandbox`: gVisor's own network stack; `host`: the kernel's, in the network namespace of the container.
        package var network: String
        /// Whether a container's memory can be written to disk and brought back.
        package var checkpoint: Bool
        /// Options before the subcommand, without root, platform and network.
        package var flags: [String]

        package init(version: String, platform: String, network: String, checkpoint: Bool, flags: [String]) {
            self.version = version
            self.platform = platform
            self.network = network
            self.checkpoint = checkpoint
            self.flags = flags
        }
    }

    package init(executable: String, root: String, abilities: Abilities, tools: Tools) {
        self.executable = executable
        self.root = root
        self.abilities = abilities
        self.tools = tools
    }

    var options: [String] {
        ["--root=\(root)", "--platform=\(abilities.platform)", "--network=\(abilities.network)"] + abilities.flags
    }

    /// Starts a container and returns once its first process runs.
    ///
    /// When it throws, processes may be left: they are in the groups of `joinFiles`, whose owner ends them.
    /// - Parameters:
    ///   - id: never used before on this machine: builds of 2022 name a socket after it that has no folder.
    ///   - bundle: the folder with `config.json`.
    ///   - joinFiles: `cgroup.procs` files, written to before runsc runs.
    ///   - standardOutput: of the container's first process. Stays open here.
    ///   - standardError: a file that gets what the first process and runsc say; made, or appended to.
    ///   - pidFile: gets the id of the sandbox's process.
    /// - Returns: that id.
    @discardableResult
    package func run(
        id: String, bundle: String, cgroup joinFiles: [String], standardOutput: FileDescriptor,
        standardError: String, pidFile: String, deadline: Duration = .seconds(20)
    ) async throws(RunscError) -> Int32 {
        guard mkdir(root, 0o700) == 0 || errno == EEXIST else {
            throw RunscError(.failed, "\(root): \(String(cString: strerror(errno)))")
        }
        unlink(pidFile)
        let log: FileDescriptor
        do {
            log = try FileDescriptor.open(
                standardError, .writeOnly, options: [.create, .append, .closeOnExec], permissions: .ownerReadWrite)
        } catch {
            throw RunscError(.failed, "\(standardError): \(error)", cause: error)
        }
        defer { try? log.close() }
        let end = try? log.seek(offset: 0, from: .end)
        let words =
            joinFiles + ["--", executable] + options
            + ["run", "--detach", "--bundle=\(bundle)", "--pid-file=\(pidFile)", id]
        do {
            // A write that fails ends the shell before anything ran outside its groups.
            try await tools.run(
                "sh",
                ["-c", #"while [ "$1" != -- ]; do echo 0 >"$1" || exit 125; shift; done; shift; exec "$@""#, "sh"]
                    + words,
                standardOutput: standardOutput, standardError: log, deadline: deadline)
        } catch {
            var error = error
            if error.tool == "sh", error.code != .missing { error.tool = "runsc" }
            error.detail += Self.text(of: standardError, from: end ?? 0)
            throw RunscError("the container \(id) does not start", error)
        }
        guard let pid = Self.text(of: pidFile, from: 0).split(separator: "\n").first.flatMap({ Int32($0) }) else {
            throw RunscError(.failed, "runsc wrote no process id for the container \(id)")
        }
        return pid
    }

    /// Sends a signal to the container's first process.
    package func signal(_ id: String, _ name: String, deadline: Duration = .seconds(10)) async throws(RunscError) {
        do {
            try await tools.run(executable, options + ["kill", id, name], deadline: deadline)
        } catch {
            throw RunscError("the container \(id) gets no signal", error)
        }
    }

    /// Removes what runsc keeps of a container whose processes are gone. Calls no program, so it cannot hang.
    package func forget(_ id: String) {
        for name in ["\(id)_sandbox:\(id).state", "\(id)_sandbox:\(id).lock", "runsc-\(id).sock"] {
            unlink("\(root)/\(name)")
        }
    }

    /// The containers of which runsc keeps something.
    package func known() -> [String] {
        let ids = DirectoryListing.names(in: root).compactMap { name in
            name.firstRange(of: "_sandbox:").map { String(name[..<$0.lowerBound]) }
        }
        return Set(ids).sorted()
    }

    /// At most its last 1000 bytes.
    private static func text(of path: String, from offset: Int64) -> String {
        guard let file = try? FileDescriptor.open(path, .readOnly, options: .closeOnExec) else { return "" }
        defer { try? file.close() }
        guard let size = try? file.seek(offset: 0, from: .end) else { return "" }
        let start = max(offset, size - 1000)
        var bytes = [UInt8](repeating: 0, count: Int(max(0, size - start)))
        let count = (try? bytes.withUnsafeMutableBytes { try file.read(fromAbsoluteOffset: start, into: $0) }) ?? 0
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }
}
