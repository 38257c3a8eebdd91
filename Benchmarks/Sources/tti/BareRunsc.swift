import Foundation
import Subprocess
import SystemPackage

/// A cold start without any of ours: `runsc run` of the same image on the same platform, no network, no cgroup, the
/// image's files read-only.
struct BareRunsc: Sendable {
    var executable: String
    var platform: String
    /// The image's root file system.
    var rootfs: String

    /// - Parameter images: the server's image folder, which holds the one base image.
    init(executable: String, platform: String, images: String) throws {
        self.executable = executable
        self.platform = platform
        let folders = try FileManager.default.contentsOfDirectory(atPath: images).map { "\(images)/\($0)/rootfs" }
        guard let base = folders.first(where: { FileManager.default.fileExists(atPath: "\($0)/usr/bin/node") }) else {
            throw Server.Failure("no base image in \(images)")
        }
        rootfs = base
    }

    /// From the start of `runsc` to the first line that the program prints.
    func firstLine(of arguments: [String], count: Int) async throws -> Statistics {
        var times: [Double] = []
        for _ in 0..<count { times.append(try await once(arguments)) }
        return Statistics(times, attempted: count, wall: times.reduce(0, +))
    }

    private func once(_ arguments: [String]) async throws -> Double {
        let id = "bare-\(UInt32.random(in: 0 ... .max))"
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(id)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let capabilities = ["CAP_SETUID", "CAP_SETGID", "CAP_KILL", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER"]
        let config: [String: Any] = [
            "ociVersion": "1.0.0",
            "process": [
                "user": ["uid": 0, "gid": 0], "args": arguments, "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
                "cwd": "/",
                "capabilities": ["bounding": capabilities, "effective": capabilities, "permitted": capabilities],
            ],
            "root": ["path": rootfs, "readonly": true],
            "mounts": [
                ["destination": "/proc", "type": "proc", "source": "proc"],
                ["destination": "/tmp", "type": "tmpfs", "source": "tmpfs"],
            ],
            "linux": ["namespaces": ["pid", "mount", "ipc", "uts"].map { ["type": $0] }],
        ]
        try JSONSerialization.data(withJSONObject: config).write(to: folder.appendingPathComponent("config.json"))
        let flags = [
            "--platform=\(platform)", "--network=none", "--ignore-cgroups", "--root", "\(folder.path)/root",
        ]
        let start = ContinuousClock.now
        let outcome = try await Subprocess.run(
            .path(FilePath(executable)), arguments: Arguments(flags + ["run", "-bundle", folder.path, id]),
            environment: .inherit, input: .none, output: .sequence, error: .discarded
        ) { execution in
            var first: Double?
            for try await _ in execution.standardOutput.strings() {
                first = (ContinuousClock.now - start).milliseconds
                break
            }
            // The program may be a server: it ends with its sandbox.
            _ = try? await Subprocess.run(
                .path(FilePath(executable)), arguments: Arguments(flags + ["kill", id, "KILL"]), environment: .inherit,
                input: .none, output: .discarded, error: .discarded)
            await execution.teardown(using: [.gracefulShutDown(allowedDurationToNextStep: .seconds(2))])
            return first
        }
        guard let first = outcome.closureResult else { throw Server.Failure("bare runsc printed nothing") }
        return first
    }
}
