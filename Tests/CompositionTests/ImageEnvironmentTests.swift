import ComputeCore
import Foundation
import Glibc
import Subprocess
import Testing

/// An image of somebody else's: its own variables, a program that only its own PATH finds, another user and directory.
private struct StrangersImage: Sendable {
    let folder = "/tmp/image-\(String.randomLabel(length: 8))"
    var reference: String { "oci:\(folder)/layout:t" }

    static var isPossible: Bool {
        ["skopeo", "umoci"].allSatisfy { tool in
            ["/usr/bin", "/usr/local/bin"].contains { access("\($0)/\(tool)", X_OK) == 0 }
        }
    }

    func make() async throws {
        // What the programs and the libraries that they say that they need take, and nothing else of this machine.
        let script = """
            mkdir -p "$1/layer/opt/tools/bin" "$1/layer/tmp"; cd "$1/layer"
            for program in /bin/sh /bin/ls /usr/bin/env; do
                for file in $program $(ldd $program | grep -o '/[^ ]*'); do
                    mkdir -p ".${file%/*}"; cp -L "$file" ".$file"
                done
            done
            printf '#!/bin/sh\\necho "$GREETING, world"\\n' >opt/tools/bin/greet; chmod 755 opt/tools/bin/greet
            tar -cf ../layer.tar .; cd ..
            umoci init --layout layout; umoci new --image layout:t
            umoci raw add-layer --image layout:t layer.tar
            umoci config --image layout:t --config.user 7:8 --config.workingdir /opt --config.env GREETING=hello \\
                --config.env PATH=/opt/tools/bin:/usr/bin:/bin --config.env HOME=/opt --config.env LISTEN=image
            """
        try await HostCommand.output("sh", ["-euc", script, "sh", folder])
    }

    func remove() { try? FileManager.default.removeItem(atPath: folder) }
}

@Suite struct ImageEnvironmentTests {
    // Skipped where gVisor cannot run, or where skopeo and umoci are not there to make an image with.
    @Test(
        .enabled(if: !GVisorPair.available.isEmpty && StrangersImage.isPossible), .timeLimit(.minutes(4)),
        arguments: GVisorPair.available)
    func theVariablesOfAnImageReachWhatRunsOnIt(_ pair: GVisorPair) async throws {
        let image = StrangersImage()
        defer { image.remove() }
        try await image.make()
        let system = ServedSystem(
            .gvisor(pair),
            settings: [
                "COMPUTESDK_IMAGE": image.reference, "COMPUTESDK_IMAGE_DIR": "\(image.folder)/store",
                "COMPUTESDK_POOL_SIZE": "1",
            ])
        let status = try await system.run { running in
            let url = try await running.url()
            let compute = try await ServedCompute.create(
                system, url, #"{"envs": {"LISTEN": "create"}}"#)
            let found = try await compute.run("env")
            let lines = Set(found.stdout.split(separator: "\n").map(String.init))
            for line in ["GREETING=hello", "PATH=/opt/tools/bin:/usr/bin:/bin", "LISTEN=create", "HOME=/home/user"] {
                #expect(lines.contains(line), "\(line) in \(found)")
            }
            #expect(!lines.contains { $0.hasPrefix("SIDEKICK_") || $0.hasPrefix("COMPUTESDK_") })
            #expect(try await compute.run("greet").line == "hello, world")
            // The home, whatever the image's own is.
            #expect(try await compute.run("pwd").line == "/home/user")
            // Where gVisor is too old for it, a library is preloaded that the image knows nothing of.
            try await compute.run("ls -l /").requireSuccess()
            try await compute.delete()
            running.signal(SIGTERM)
        }
        #expect(status == .exited(0), "\(system.said)")
    }
}
