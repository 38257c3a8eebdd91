import FoundationEssentials
import Glibc
import LinuxHost

/// Helper programs that do what they are told to go wrong, in folders that are searched first.
struct FailingTools: Sendable {
    enum Fault: String, Sendable, CaseIterable {
        /// Ends at once with an error.
        case fails
        /// Never ends by itself.
        case hangs
        /// Does its work and is killed before it can say so.
        case isKilled
    }

    let folder: String
    var path: String { "\(folder)/bin" }
    var plugins: String { "\(folder)/cni" }

    init(in parent: String, tools: [String], plugins: [String]) throws {
        folder = "\(parent)/tools"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try FileManager.default.createDirectory(atPath: self.plugins, withIntermediateDirectories: true)
        for name in tools {
            guard let real = Tools.ofThisProcess.path(of: name) else { continue }
            try write(name.split(separator: "/").last.map(String.init) ?? name, real, in: path)
        }
        for name in plugins {
            let folders = ["/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"]
            let candidates: [String] = folders.map { "\($0)/\(name)" }
            let real = candidates.first { access($0, X_OK) == 0 }
            if let real { try write(name, real, in: self.plugins) }
        }
    }

    private func write(_ name: String, _ real: String, in folder: String) throws {
        let script = """
            #!/bin/sh
            case $(cat "\(self.folder)/\(name).fault" 2>/dev/null) in
            fails) echo "told to fail" >&2; exit 1;;
            hangs) exec sleep 600;;
            isKilled) "\(real)" "$@"; kill -9 $$;;
            esac
            exec "\(real)" "$@"

            """
        let path = "\(folder)/\(name)"
        try Data(script.utf8).write(to: URL(filePath: path))
        chmod(path, 0o755)
    }

    func set(_ fault: Fault?, of tool: String) throws {
        let file = "\(folder)/\(tool).fault"
        guard let fault else {
            unlink(file)
            return
        }
        try Data(fault.rawValue.utf8).write(to: URL(filePath: file))
    }
}
