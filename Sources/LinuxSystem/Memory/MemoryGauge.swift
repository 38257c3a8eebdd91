import CLinux
import Glibc

/// How much memory is used, as far as a limit on user code is concerned.
package enum MemoryGauge: Sendable {
    /// A sandbox whose kernel counts for it alone (gVisor): its processes, its files in memory, its page cache.
    case sandbox
    /// What runs below this process, on a kernel that others use too.
    case descendants

    /// Which one is true here: gVisor says its name in the kernel's log.
    package static let here: MemoryGauge = {
        var log = [CChar](repeating: 0, count: 1 << 14)
        let count = clinux_read_kernel_log(&log, Int32(log.count))
        let text = log[..<max(0, Int(count))].map { UInt8(bitPattern: $0) }
        return String(decoding: text, as: UTF8.self).contains("gVisor") ? .sandbox : .descendants
    }()

    /// - Returns: bytes; nil when the kernel does not say.
    package func used() -> Int? {
        switch self {
        case .sandbox: return (try? Self.text("/proc/meminfo")).flatMap(Self.sandboxUse)
        case .descendants:
            return Descendants.scan().reduce(0) { sum, process in
                // Shares, not sizes: forked processes have most of their pages in common.
                let share = (try? Self.text("/proc/\(process.pid)/smaps_rollup")).flatMap { Self.kibibytes("Pss:", $0) }
                return sum + (share ?? 0) * 1024
            }
        }
    }

    /// Not MemFree: under gVisor that is what was free when somebody last looked for it. `AnonPages` has the files of
    /// tmpfs in it, `Mapped` is all of the page cache.
    package static func sandboxUse(_ meminfo: String) -> Int? {
        guard let anonymous = kibibytes("AnonPages:", meminfo), let mapped = kibibytes("Mapped:", meminfo) else {
            return nil
        }
        return (anonymous + mapped) * 1024
    }

    private static func kibibytes(_ name: String, _ text: String) -> Int? {
        for line in text.split(separator: "\n") where line.hasPrefix(name) {
            return line.dropFirst(name.count).split(separator: " ").first.flatMap { Int($0) }
        }
        return nil
    }

    private static func text(_ path: String) throws(LinuxSystemError) -> String {
        let file = try FileDescriptor.open(path, O_RDONLY)
        return String(decoding: try file.readAll(upTo: 1 << 16, path), as: UTF8.self)
    }
}
