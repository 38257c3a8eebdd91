import Glibc
import LinuxSystem

/// Keeps user code within the compute's memory. Shell of `MemoryWatch`.
enum MemoryWatchdog {
    /// Never ends; sleeps, without a timer, whenever nothing runs below this process.
    static func start(limit: Int, reaper: Reaper) throws(LinuxSystemError) {
        let gauge = MemoryGauge.here
        try OwnThread.start("memory") {
            var watch = MemoryWatch(limit: limit)
            while true {
                reaper.waitForActivity()
                guard let used = gauge.used() else {
                    // Out of descriptors, say. Blind is no reason to kill, and no reason to give up.
                    pause(.milliseconds(50))
                    continue
                }
                switch watch.measured(used, at: .now, groups: groups) {
                case .wait(let duration): pause(duration)
                case .kill(let group, let duration):
                    reaper.killForMemory(group: group.id)
                    SidekickLog.write(
                        .warning, "killed a process group: out of memory",
                        [
                            "group": "\(group.id)", "groupBytes": "\(group.bytes)", "usedBytes": "\(used)",
                            "limitBytes": "\(limit)",
                        ])
                    pause(duration)
                }
            }
        }
    }

    /// All that runs below us, by its groups. We are in none of them.
    private static func groups() -> [MemoryWatch.Group] {
        let pageSize = sysconf(Int32(_SC_PAGESIZE))
        var bytes: [Int32: Int] = [:]
        for (_, line) in Descendants.scan() where line.group > 1 && line.group != getpgrp() {
            bytes[line.group, default: 0] += line.residentPages * pageSize
        }
        return bytes.map { MemoryWatch.Group(id: $0.key, bytes: $0.value) }
    }

    private static func pause(_ duration: Duration) {
        usleep(UInt32(duration.components.attoseconds / 1_000_000_000_000))
    }
}
