import Glibc
import LinuxHost
import SystemPackage

/// One attempt to start a container, in a folder of its own that is gone afterwards, processes included.
struct TrialContainer {
    let abilities: Runsc.Abilities
    let runsc: Runsc
    let id: String
    let folder: String
    let tools: Tools

    private static let prefix = "probe"

    init(runsc path: String, abilities: Runsc.Abilities, folder parent: String, tools: Tools) {
        let id = Self.prefix + String(UInt64.random(in: .min ... .max), radix: 36)
        self.init(runsc: path, abilities: abilities, id: id, folder: "\(parent)/\(id)", tools: tools)
    }

    private init(runsc path: String, abilities: Runsc.Abilities, id: String, folder: String, tools: Tools) {
        self.id = id
        self.folder = folder
        self.abilities = abilities
        self.tools = tools
        runsc = Runsc(executable: path, root: "\(folder)/state", abilities: abilities, tools: tools)
    }

    /// Ends and removes what an attempt left whose process was killed in the middle.
    static func removeLeftovers(below parent: String) async {
        for id in DirectoryListing.names(in: parent) where id.hasPrefix(prefix) && id.count > prefix.count + 6 {
            _ = await SandboxProcesses(id: id).killAll()
            remove("\(parent)/\(id)")
        }
    }

    /// A cold cache and a busy machine take seconds. kvm either works at once or hangs.
    private var deadline: Duration { abilities.platform == "kvm" ? .seconds(2) : .seconds(20) }

    /// - Returns: whether the container could also be saved and brought back.
    func run() async throws(RunscError) -> Bool {
        let result: Result<Bool, RunscError>
        do throws(RunscError) {
            result = .success(try await attempt())
        } catch {
            result = .failure(error)
        }
        let isGone = await SandboxProcesses(id: id).killAll()
        Self.remove(folder)
        if !isGone, case .success = result {
            throw RunscError(.failed, "a trial container on \(abilities.platform) does not end")
        }
        return try result.get()
    }

    private func attempt() async throws(RunscError) -> Bool {
        try make(folder)
        try make("\(folder)/first")
        try make("\(folder)/image")
        // The container sees the machine's own files, to have a shell without an image. It runs nothing but this.
        var bundle = ContainerBundle(
            rootfs: "/", arguments: ["/bin/sh", "-c", "echo up; exec sleep 30"], environment: ["PATH": "/usr/bin:/bin"],
            hostname: "probe", networkNamespacePath: nil)
        bundle.isReadOnly = true
        try bundle.write(to: "\(folder)/first")
        let output = try file("\(folder)/output")
        defer { try? output.close() }
        try await runsc.run(
            id: id, bundle: "\(folder)/first", cgroup: [], standardOutput: output,
            standardError: "\(folder)/errors", pidFile: "\(folder)/pid", deadline: deadline)
        guard await says("up", output) else {
            throw RunscError(.deadlineExceeded, "a container starts, and nothing runs in it")
        }
        return await isSavedAndRestored()
    }

    /// Memory to disk and back. With the host's network stack its sockets could not be saved.
    private func isSavedAndRestored() async -> Bool {
        guard abilities.network == "sandbox", let log = try? file("\(folder)/log") else { return false }
        defer { try? log.close() }
        let image = "--image-path=\(folder)/image"
        let steps = [
            ["checkpoint", image, id],
            ["restore", "--detach", image, "--bundle=\(folder)/first", "--pid-file=\(folder)/pid", "\(id)restored"],
        ]
        do {
            for step in steps {
                try await tools.run(
                    runsc.executable, runsc.options + step, standardOutput: log, standardError: log,
                    deadline: .seconds(5))
            }
            return true
        } catch {
            return false
        }
    }

    private func says(_ word: String, _ output: FileDescriptor) async -> Bool {
        let clock = ContinuousClock()
        let end = clock.now + deadline
        while clock.now < end {
            var bytes = [UInt8](repeating: 0, count: 64)
            let count = (try? bytes.withUnsafeMutableBytes { try output.read(fromAbsoluteOffset: 0, into: $0) }) ?? 0
            if String(decoding: bytes.prefix(count), as: UTF8.self).contains(word) { return true }
            do { try await Task.sleep(for: .milliseconds(2)) } catch { return false }
        }
        return false
    }

    private func make(_ path: String) throws(RunscError) {
        guard mkdir(path, 0o700) == 0 else {
            throw RunscError(.unavailable, "\(path) cannot be made: \(String(cString: strerror(errno)))")
        }
    }

    private func file(_ path: String) throws(RunscError) -> FileDescriptor {
        do {
            return try FileDescriptor.open(
                path, .readWrite, options: [.create, .closeOnExec], permissions: .ownerReadWrite)
        } catch {
            throw RunscError(.unavailable, "\(path) cannot be made: \(error)", cause: error)
        }
    }

    /// Everything that is made here is at most two folders deep.
    private static func remove(_ folder: String) {
        for inner in ["first", "image", "state"] { empty("\(folder)/\(inner)") }
        empty(folder)
    }

    private static func empty(_ path: String) {
        for name in DirectoryListing.names(in: path) { unlink("\(path)/\(name)") }
        rmdir(path)
    }
}
