import Glibc
import LinuxSystem

/// Keeps user code within the compute's memory and its number of processes, so that everything else in it lives on. Shell of
/// `MemoryWatch` and `ProcessWatch`, with a thread for each: memory runs out within milliseconds, and to look at processes takes a
/// kernel that is full of them longer than that.
enum LimitsWatchdog {
    /// Never ends; sleeps, without a timer, whenever nothing runs below this process.
    /// - Parameters:
    ///   - memory: of the compute, in bytes; nil: it is not watched.
    ///   - processes: and threads at once, of the user; nil: they are not watched.
    static func start(memory: Int?, processes: Int?, reaper: Reaper) throws(LinuxSystemError) {
        if let memory {
            let activity = try reaper.activity()
            try OwnThread.start("memory") {
                let gauge = MemoryGauge.here
                var watch = MemoryWatch(limit: memory)
                while true {
                    activity.wait()
                    pause(watch.look(gauge, reaper))
                }
            }
        }
        if let processes, processes >= ProcessWatch.smallestLimit {
            let activity = try reaper.activity()
            try OwnThread.start("processes") {
                var watch = ProcessWatch(limit: processes)
                while true {
                    activity.wait()
                    pause(watch.look(reaper))
                }
            }
        }
    }

    private static func pause(_ duration: Duration) { usleep(UInt32(duration / .microseconds(1))) }
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
        guard let crowd = Descendants.crowd() else { return .milliseconds(50) }
        switch looked(Facts(pids: crowd.pids, threads: crowd.threads, starts: reaper.starts), at: .now) {
        case .wait(let duration): return duration
        case .end(let residents, let fewest):
            let intruders = Self.stopAll(besides: residents, fewest: fewest)
            reaper.kill(intruders, for: .processes)
            SidekickLog.write(
                .warning, "killed processes that started others without end", ["count": "\(intruders.count)"])
            return .zero
        }
    }

    /// Standing still first, all of them: whoever is killed leaves a place for the child of another.
    private static func stopAll(besides residents: Set<Int32>, fewest: Int) -> Set<Int32> {
        var newcomers: Set<Int32> = []
        var starters: Set<Int32> = []
        for _ in 0..<mostRounds {
            var moving = (Descendants.crowd()?.pids ?? []).subtracting(residents).subtracting(newcomers)
            newcomers.formUnion(moving)
            if moving.isEmpty {
                // Who of the residents would go on as soon as there is room.
                var children: [Int32: Int] = [:]
                for case let line? in newcomers.map({ Descendants.ProcessLine(of: $0) }) {
                    children[line.parent, default: 0] += 1
                }
                moving = Set(children.filter { $0.value >= fewest && residents.contains($0.key) }.keys)
                    .subtracting(starters)
                starters.formUnion(moving)
                if moving.isEmpty { break }
            }
            for pid in moving { kill(pid, SIGSTOP) }
        }
        return newcomers.union(starters)
    }
}
