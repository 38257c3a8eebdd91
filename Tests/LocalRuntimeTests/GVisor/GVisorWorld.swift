import ComputeCore
import ComputeRuntime
import Crypto
import FoundationEssentials
import GVisor
import Glibc
import LinuxHost
import LocalRuntime
import SidekickClient
import SidekickProtocol

/// One build of runsc that boots here.
struct GVisorBuild: Sendable, Hashable, CustomStringConvertible {
    var runsc: String
    var platform: String
    var description: String { "\(runsc) on \(platform)" }

    /// The packaged one, and the newer one that `COMPUTESDK_TEST_RUNSC_MODERN` names.
    static let available: [GVisorBuild] = {
        guard geteuid() == 0 else { return [] }
        var builds: [GVisorBuild] = []
        if let packaged = Tools.ofThisProcess.path(of: "runsc") {
            builds.append(GVisorBuild(runsc: packaged, platform: "ptrace"))
        }
        if let modern = getenv("COMPUTESDK_TEST_RUNSC_MODERN").map({ String(cString: $0) }), access(modern, X_OK) == 0 {
            builds.append(GVisorBuild(runsc: modern, platform: "systrap"))
        }
        return builds
    }()
}

/// A data directory of its own, an image with nothing but a shell, and what is seen of both on the machine.
struct GVisorWorld: Sendable {
    let local = LocalWorld()
    var dataDirectory: String { local.dataDirectory }
    var tag: String {
        String(SHA256.hash(data: Data(dataDirectory.utf8)).map { hex($0) }.joined().prefix(6))
    }

    func runtime(
        _ build: GVisorBuild, poolSize: Int, _ change: (inout GVisorSettings) -> Void = { _ in }
    ) async throws -> MachineRuntime {
        let digest = String(repeating: "5", count: 64)
        let images = "\(dataDirectory)/images"
        try await Self.makeImage(digest, in: images)
        var settings = GVisorSettings(imageDirectory: images)
        settings.image = "shell@sha256:\(digest)"
        settings.runsc = build.runsc
        settings.platform = build.platform
        settings.memoryBytes = 128 << 20
        settings.diskBytes = 64 << 20
        // What is laid ahead is on the machine as well, and would be in the way of counting.
        settings.groundsAhead = 0
        change(&settings)
        return try await MachineRuntime.gvisor(
            .init(
                dataDirectory: dataDirectory, sidekick: try LocalWorld.sidekick,
                claimKey: local.key.publicKey.rawRepresentation.base64URL, poolSize: poolSize),
            settings, logger: LocalWorld.quiet)
    }

    /// As the store keeps an image: unpacked, under its digest, with a word about it.
    private static func makeImage(_ digest: String, in folder: String) async throws {
        let image = "\(folder)/sha256-\(digest)"
        guard access("\(image)/image.json", F_OK) != 0 else { return }
        let files = FileManager.default
        // The shell, and the libraries it says that it needs.
        let said = try await Tools.ofThisProcess.run("ldd", ["/bin/sh"]).standardOutput
        let libraries = said.split(whereSeparator: \.isWhitespace).map(String.init).filter { $0.hasPrefix("/") }
        for path in ["/bin/sh"] + libraries {
            let target = "\(image)/rootfs\(path)"
            try files.createDirectory(
                atPath: String(target[..<(target.lastIndex(of: "/") ?? target.endIndex)]),
                withIntermediateDirectories: true)
            guard let real = realpath(path, nil) else { continue }
            defer { free(real) }
            try files.copyItem(atPath: String(cString: real), toPath: target)
        }
        for name in ["proc", "sys", "dev", "tmp"] {
            try files.createDirectory(atPath: "\(image)/rootfs/\(name)", withIntermediateDirectories: true)
        }
        let description = """
            {"digest": "sha256:\(digest)", "rootfs": "", "environment": [], "workingDirectory": "/", "entrypoint": [],
             "command": [], "sizeBytes": 1, "reference": "shell"}
            """
        try Data(description.utf8).write(to: URL(filePath: "\(image)/image.json"))
    }

    // MARK: - Seen on the machine

    /// Members that something is left of, by the machine's own tables.
    var members: Set<String> {
        var names = Set(Self.list("\(dataDirectory)/members") + Self.list("\(dataDirectory)/runsc"))
        for name in Self.list("/run/netns") where name.hasPrefix("csdk-\(tag)-") {
            names.insert(String(name.dropFirst("csdk-\(tag)-".count)))
        }
        for folder in cgroupFolders {
            names.formUnion(Self.list(folder).filter { $0.hasPrefix("m") && !$0.contains(".") })
        }
        for path in OverlayDisk.mounted(below: "\(dataDirectory)/members") { names.insert(path) }
        return names.union(devices)
    }

    private var devices: Set<String> { Set(OverlayDisk.loops(below: dataDirectory)) }

    /// `members`, once the kernel has let go of the devices of disks that are unmounted: it does so with their last user,
    /// and whoever has just made a mount namespace, as every sandbox begins, is one for a moment.
    func left() async throws -> Set<String> {
        let end = ContinuousClock.now + .seconds(30)
        while !devices.isEmpty, devices == members, ContinuousClock.now < end {
            try await Task.sleep(for: .milliseconds(20))
        }
        return members
    }

    /// What an orderly stop must not leave besides.
    var ground: [String] {
        cgroupFolders + (access("/sys/class/net/csdk\(tag)", F_OK) == 0 ? ["csdk\(tag)"] : [])
    }

    private var cgroupFolders: [String] {
        ["/sys/fs/cgroup"].flatMap { root in [root] + Self.list(root).map { "\(root)/\($0)" } }
            .map { "\($0)/computesdk-\(tag)" }.filter { access($0, F_OK) == 0 }
    }

    func hasTable() async throws -> Bool {
        try await Tools.ofThisProcess.run("nft", ["list", "tables"]).standardOutput.contains("computesdk_\(tag)")
    }

    func listens(_ member: Member) async -> Bool {
        (try? await local.agent.state(at: member.sidekickInternal))?.member == member.name
    }

    /// The sandbox's processes: of the machine's, those in the member's group.
    func processes(of member: Member) -> [Int32] {
        Set(
            cgroupFolders.flatMap { folder in
                let text = FileManager.default.contents(atPath: "\(folder)/\(member.name)/cgroup.procs") ?? Data()
                return String(decoding: text, as: UTF8.self).split(separator: "\n").compactMap { Int32($0) }
            }
        ).sorted()
    }

    func isFrozen(_ member: Member) -> Bool {
        cgroupFolders.contains { folder in
            let v1 = FileManager.default.contents(atPath: "\(folder)/\(member.name)/freezer.state") ?? Data()
            let v2 = FileManager.default.contents(atPath: "\(folder)/\(member.name)/cgroup.freeze") ?? Data()
            return v1.starts(with: Array("FROZEN".utf8)) || v2.starts(with: Array("1".utf8))
        }
    }

    static func list(_ folder: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    }

    private func hex(_ byte: UInt8) -> String { String(byte >> 4, radix: 16) + String(byte & 15, radix: 16) }
}
