import Glibc
import LinuxSystem

/// Keeps user code within the compute's memory and its number of processes, so that everything else in it lives on. Shell of
/// `MemoryWatch` and `ProcessWatch`.
enum LimitsWatchdog {
    /// Never ends; sleeps, without a timer, whenever nothing runs below this process.
    /// - Parameters:
    ///   - memory: of the compute, in bytes; nil: it is not watched.
    ///   - processes: at once, of the user; nil: they are not watched.
    static func start(memory: Int?, processes: Int?, reaper: Reaper) throws(LinuxSystemError) {
        guard memory != nil || processes != nil else { return }
        let gauge = MemoryGauge.here
        try OwnThread.start("limits") {
            var memory = memory.map { MemoryWatch(limit: $0) }
            var processes = processes.map { ProcessWatch(limit: $0) }
            while true {
                reaper.waitForActivity()
                let pauses = [memory?.look(gauge, reaper), processes?.look(reaper)].compactMap(\.self)
                if let pause = pauses.min() { usleep(UInt32(pause / .microseconds(1))) }
            }
        }
    }
}

extension MemoryWatch {
    /// - Returns: when to look again.
    fileprivate mutating func look(_ gauge: MemoryGauge, _ reaper: Reaper) -> Duration {
        // Out of descriptors, say. Blind is no reason to kill, and no reason to give up.
        guard let used = gauge.used() else { return .milliseconds(50) }
        switch measured(used, at: .now, groups: Self.groups) {
        case .wait(let duration): return duration
        case .kill(let group, let duration):
            reaper.kill(group: group.id, for: .memory)
            SidekickLog.write(
                .warning, "killed a process group: out of memory",
                [
                    "group": "\(group.id)", "groupBytes": "\(group.bytes)", "usedBytes": "\(used)",
                    "limitBytes": "\(limit)",
                ])
            return duration
        }
    }

    /// All that runs below us, by its groups. We are in none of them.
    private static func groups() -> [Group] {
        let pageSize = sysconf(Int32(_SC_PAGESIZE))
        var bytes: [Int32: Int] = [:]
        for (_, line) in Descendants.scan() where line.group > 1 && line.group != getpgrp() {
            bytes[line.group, default: 0] += line.residentPages * pageSize
        }
        return bytes.map { Group(id: $0.key, bytes: $0.value) }
    }
}

extension ProcessWatch {
    /// Each member of a crowd that stands still holds a place, so there are fewer that could go on from round to round.
    private static let mostRounds = 20

    /// - Returns: when to look again.
    fileprivate mutating func look(_ reaper: Reaper) -> Duration {
        switch looked(Descendants.pids(), starts: reaper.starts, at: .now) {
        case .wait(let duration): return duration
        case .end(let residents):
            let intruders = Self.stopAll(besides: residents)
            reaper.kill(intruders, for: .processes)
            SidekickLog.write(
                .warning, "killed processes that started others without end", ["count": "\(intruders.count)"])
            return .zero
        }
    }

    /// Standing still first, all of them: whoever is killed leaves a place for the child of another.
    private static func stopAll(besides residents: Set<Int32>) -> Set<Int32> {
        var stopped: Set<Int32> = []
        for _ in 0..<mostRounds {
            var moving = Descendants.pids().subtracting(residents).subtracting(stopped)
            if moving.isEmpty {
                // Who started them goes on as soon as there is room.
                let parents = Set(stopped.compactMap { Descendants.ProcessLine(of: $0)?.parent })
                moving = parents.intersection(residents).subtracting(stopped)
                if moving.isEmpty { break }
            }
            for pid in moving { kill(pid, SIGSTOP) }
            stopped.formUnion(moving)
        }
        return stopped
    }
}
