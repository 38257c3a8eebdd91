import Foundation
import Glibc
import LinuxHost
import OCIImages
import Synchronization

/// A folder of a test with a store in it, and the tools to make images.
struct TestImages {
    /// With the folder where scripts/install-packages puts what only tests use.
    static let tools = Tools(
        path: (getenv("PATH").map { String(cString: $0) } ?? "")
            + ":\(FileManager.default.currentDirectoryPath)/.build/tools")
    /// Unpacking needs root, and everything the two tools; scripts/install-packages brings those.
    static let arePossible = geteuid() == 0 && tools.path(of: "skopeo") != nil && tools.path(of: "umoci") != nil

    let folder: String
    let store: ImageStore

    init(limits: ImageLimits = ImageLimits()) throws {
        folder = "/tmp/images-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        store = ImageStore(folder: "\(folder)/store", tools: Self.tools, limits: limits)
    }

    /// With a script of the test in the place of `mmdebstrap`.
    init(mmdebstrap script: String) throws {
        folder = "/tmp/images-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: "\(folder)/bin", withIntermediateDirectories: true)
        try Data("#!/bin/sh\n\(script)\n".utf8).write(to: URL(fileURLWithPath: "\(folder)/bin/mmdebstrap"))
        chmod("\(folder)/bin/mmdebstrap", 0o755)
        store = ImageStore(folder: "\(folder)/store", tools: Tools(path: "\(folder)/bin"))
    }

    func remove() { try? FileManager.default.removeItem(atPath: folder) }

    @discardableResult
    func shell(_ script: String, _ arguments: String...) async throws -> String {
        try await Self.tools.run(
            "sh", ["-euc", script, "sh"] + arguments, environment: ["D": folder], deadline: .seconds(60)
        ).standardOutput
    }

    /// Makes an OCI layout `<folder>/layout` whose tag `t` has one layer per script. Each script runs in the empty folder
    /// that becomes the layer; a file `layer.tar` in it is taken as the layer instead.
    func layout(tag: String = "t", configuration: [String] = [], layers: [String]) async throws {
        try await shell("cd $D; [ -d layout ] || umoci init --layout layout; umoci new --image layout:$1", tag)
        for layer in layers {
            try await shell(
                """
                rm -rf $D/layer; mkdir $D/layer; cd $D/layer; eval "$2"
                [ -f layer.tar ] && mv layer.tar $D/layer.tar || tar -cf $D/layer.tar .
                cd $D; umoci raw add-layer --image layout:$1 layer.tar; rm -rf layer layer.tar
                """, tag, layer)
        }
        guard !configuration.isEmpty else { return }
        _ = try await Self.tools.run(
            "umoci", ["config", "--image", "\(folder)/layout:\(tag)"] + configuration, deadline: .seconds(60))
    }

    func reference(tag: String = "t") throws -> ImageReference { try ImageReference("oci:\(folder)/layout:\(tag)") }

    /// What is in the store's folder beside locks.
    var left: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: store.folder)) ?? []).filter { $0 != "locks" }.sorted()
    }
}

func mode(_ path: String) -> mode_t? {
    var status = stat()
    return lstat(path, &status) == 0 ? status.st_mode & 0o7777 : nil
}

func exists(_ path: String) -> Bool { mode(path) != nil }

func contents(_ path: String) -> String? {
    FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
}

/// Waits until something of the world has come true.
func eventually(_ condition: () -> Bool) async throws -> Bool {
    let end = ContinuousClock.now + .seconds(30)
    while !condition() {
        if ContinuousClock.now > end { return false }
        try await Task.sleep(for: .milliseconds(20))
    }
    return true
}

final class Counter: Sendable {
    private let count = Mutex(0)
    var value: Int { count.withLock { $0 } }
    func increment() { count.withLock { $0 += 1 } }
}
