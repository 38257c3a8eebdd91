import FoundationEssentials
import GVisor
import Glibc
import LinuxHost
import SystemPackage
import Testing

extension String {
    var trimmed: String { String(drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed()) }
}

func removeTree(_ path: String) { try? FileManager.default.removeItem(atPath: path) }

/// Every build on this machine, with every platform that needs no hardware.
struct Build: Sendable, CustomTestStringConvertible {
    var executable: String
    var abilities: Runsc.Abilities
    var testDescription: String { "\(executable) on \(abilities.platform)" }

    /// The one that `COMPUTESDK_TEST_RUNSC_MODERN` names, and those on the search path.
    static let executables: [String] = {
        let named = getenv("COMPUTESDK_TEST_RUNSC_MODERN").map { [String(cString: $0)] } ?? []
        let all =
            named + Tools.ofThisProcess.searchPath.map { "\($0)/runsc" }
        var seen: Set<String> = []
        return all.filter { access($0, X_OK) == 0 }.compactMap { realpath($0, nil) }.compactMap { real in
            defer { free(real) }
            let path = String(cString: real)
            return seen.insert(path).inserted ? path : nil
        }
    }()

    static var here: Bool { geteuid() == 0 && !executables.isEmpty }
    static let absence: Comment = "no runsc, or not root: install the package"

    /// Probed once per test run.
    static func all() async throws -> [Build] { try await probed.value }

    private static let probed = Task {
        let tools = Tools.ofThisProcess
        let root = "/tmp/gvisor-builds-\(UInt64.random(in: .min ... .max))"
        defer { removeTree(root) }
        var builds: [Build] = []
        for executable in executables {
            let flags = try await tools.run("sh", ["-c", #"exec "$0" flags 2>&1"#, executable])
            for platform in RunscHelp(version: "", flags: flags.standardOutput).candidates(nil) {
                let runsc = try await Runsc.probe(executable: executable, root: root, platform: platform, tools: tools)
                builds.append(Build(executable: executable, abilities: runsc.abilities))
            }
        }
        return builds
    }
}

/// A folder with the machine's own programs as a container's root file system, writable and thrown away; and a tree of
/// control groups.
final class Place: Sendable {
    let folder: String
    let tree: CgroupTree
    let tools = Tools.ofThisProcess

    private init(folder: String, tree: CgroupTree) {
        self.folder = folder
        self.tree = tree
    }

    /// Nothing is left of it afterwards, and nothing may be left in it.
    static func with(_ body: (Place) async throws -> Void) async throws {
        let name = "gvisor-test-\(UInt64.random(in: .min ... .max))"
        let place = Place(folder: "/tmp/\(name)", tree: try CgroupTree.detect(tree: "/\(name)"))
        let result: Result<Void, any Error>
        do {
            mkdir(place.folder, 0o700)
            // An overlay cannot have another as its upper layer, and `/tmp` may be in one.
            try await place.tools.run("mount", ["-t", "tmpfs", "tmpfs", place.folder])
            let folders = ["upper", "work", "rootfs", "bundle"].map { "\(place.folder)/\($0)" }
            try await place.tools.run("mkdir", folders)
            let layers = "lowerdir=/,upperdir=\(folders[0]),workdir=\(folders[1])"
            try await place.tools.run("mount", ["-t", "overlay", "overlay", "-o", layers, folders[2]])
            result = .success(try await body(place))
        } catch {
            result = .failure(error)
        }
        for group in place.tree.names() {
            try await place.tree.group(group).killAll(deadline: .seconds(20))
            try place.tree.group(group).remove()
        }
        place.tree.remove()
        _ = try? await place.tools.run("ip", ["netns", "delete", name])
        _ = try? await place.tools.run("umount", ["-l", place.rootfs])
        _ = try? await place.tools.run("umount", ["-l", place.folder])
        rmdir(place.folder)
        try result.get()
    }

    var rootfs: String { "\(folder)/rootfs" }

    /// A network namespace with one interface and its other end, both in it. At most one per place.
    func makeNamespace(interface: String) async throws -> String {
        let name = String(tree.path.dropFirst())
        try await tools.run("ip", ["netns", "add", name])
        try await tools.run("ip", ["-n", name, "link", "add", interface, "type", "veth", "peer", "name", "other"])
        try await tools.run("ip", ["-n", name, "address", "add", "192.0.2.2/24", "dev", interface])
        for link in ["lo", "other", interface] { try await tools.run("ip", ["-n", name, "link", "set", link, "up"]) }
        return "/run/netns/\(name)"
    }

    func runsc(_ build: Build) -> Runsc {
        Runsc(executable: build.executable, root: "\(folder)/state", abilities: build.abilities, tools: tools)
    }
}

/// One running container.
struct Running {
    var id: String
    var process: Int32
    var group: Cgroup
    /// What its first process says.
    var output: FileDescriptor
    var log: String

    /// - Parameter script: for `/bin/sh`, as root of the container.
    static func start(
        _ script: String, with runsc: Runsc, in place: Place, limits: CgroupLimits = .init(),
        network: String? = nil
    ) async throws -> Running {
        let id = "t\(UInt64.random(in: .min ... .max))"
        let group = place.tree.group(id)
        _ = try group.create(limits)
        try ContainerBundle(
            rootfs: place.rootfs, arguments: ["/bin/sh", "-c", script],
            environment: ["PATH": "/usr/sbin:/usr/bin:/bin"],
            hostname: "inside", networkNamespacePath: network
        ).write(to: "\(place.folder)/bundle")
        let pipe = try FileDescriptor.pipe()
        defer { try? pipe.writeEnd.close() }
        for end in [pipe.readEnd, pipe.writeEnd] { _ = fcntl(end.rawValue, F_SETFD, FD_CLOEXEC) }
        do {
            let process = try await runsc.run(
                id: id, bundle: "\(place.folder)/bundle", cgroup: group.joinFiles, standardOutput: pipe.writeEnd,
                standardError: "\(place.folder)/\(id).log", pidFile: "\(place.folder)/\(id).pid",
                deadline: .seconds(60))
            return Running(
                id: id, process: process, group: group, output: pipe.readEnd, log: "\(place.folder)/\(id).log")
        } catch {
            try? pipe.readEnd.close()
            throw error
        }
    }

    /// What is said until a line equal to `line`, or to the end.
    func read(until line: String? = nil) async throws -> String {
        let output = output
        return try await withCheckedThrowingContinuation { continuation in
            // A pipe's read end of a test, on a thread of its own: it blocks.
            detachThread {
                continuation.resume(
                    with: Result {
                        var text = ""
                        var buffer = [UInt8](repeating: 0, count: 4096)
                        while line == nil || !text.split(separator: "\n").contains(Substring(line!)) {
                            let count = try buffer.withUnsafeMutableBytes { try output.read(into: $0) }
                            if count == 0 { break }
                            text += String(decoding: buffer.prefix(count), as: UTF8.self)
                        }
                        return text
                    })
            }
        }
    }
}

private func detachThread(_ body: @escaping @Sendable () -> Void) {
    final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    var thread = pthread_t()
    pthread_create(
        &thread, nil,
        { argument in
            pthread_detach(pthread_self())
            Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue().body()
            return nil
        }, Unmanaged.passRetained(Box(body)).toOpaque())
}
