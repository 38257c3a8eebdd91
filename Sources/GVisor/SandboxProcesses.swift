import Glibc
import LinuxHost
import SystemPackage

/// The processes of one container that is in no group of ours, found by its id on their command lines.
struct SandboxProcesses {
    /// Random and long, so that no other command line holds it.
    let id: String

    /// Ends them, also what is being forked meanwhile.
    /// - Returns: false when some are left after two seconds: they hang in the kernel.
    func killAll() async -> Bool {
        for _ in 0..<100 {
            let running = running()
            if running.isEmpty { return true }
            for process in running { kill(process, SIGKILL) }
            // Not given up with the caller's task: what stays would stay for ever.
            await Task { try? await Task.sleep(for: .milliseconds(20)) }.value
        }
        return running().isEmpty
    }

    func running() -> [Int32] {
        guard let directory = opendir("/proc") else { return [] }
        defer { closedir(directory) }
        var found: [Int32] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard let process = Int32(name), process != getpid(), holdsId(process) else { continue }
            if ProcessWatch.isRunning(process) { found.append(process) }
        }
        return found
    }

    private func holdsId(_ process: Int32) -> Bool {
        guard let file = try? FileDescriptor.open("/proc/\(process)/cmdline", .readOnly, options: .closeOnExec) else {
            return false
        }
        defer { try? file.close() }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = (try? bytes.withUnsafeMutableBytes { try file.read(into: $0) }) ?? 0
        return String(decoding: bytes.prefix(count), as: UTF8.self).contains(id)
    }
}
