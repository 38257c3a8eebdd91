import CLinux
import Glibc

/// All processes below this one, also those that left their session: with this process as subreaper they cannot leave
/// its tree. For the end of the process, when nothing is started any more.
package enum Descendants {
    /// Kills until none is left or the deadline passes. Blocking. Their parents, or the reaper, collect them.
    /// - Returns: whether none is left.
    package static func killAll(within limit: Duration) -> Bool {
        let deadline = ContinuousClock.now + limit
        while true {
            // Standing still first: those that start others faster than they are killed would never be all.
            var stopped: Set<Int32> = []
            while true {
                let moving = alive().subtracting(stopped)
                if moving.isEmpty { break }
                for pid in moving { kill(pid, SIGSTOP) }
                stopped.formUnion(moving)
                guard ContinuousClock.now < deadline else { break }
            }
            if stopped.isEmpty { return true }
            for pid in stopped { kill(pid, SIGKILL) }
            guard ContinuousClock.now < deadline else { return false }
            usleep(2000)
        }
    }

    private static func alive() -> Set<Int32> { Set(scan().map(\.pid)) }

    /// Their numbers, and how many threads they have in all. As the first process of a gVisor sandbox everybody is below us, and the
    /// kernel counts the threads: that takes no looking at each of them. Zombies are among them there.
    /// - Returns: nil when the kernel does not say.
    package static func crowd() -> (pids: Set<Int32>, threads: Int)? {
        guard MemoryGauge.here == .sandbox, getpid() == 1 else {
            let found = scan()
            return found.isEmpty ? nil : (Set(found.map(\.pid)), found.reduce(0) { $0 + $1.line.threads })
        }
        let threads = Int(clinux_count_threads())
        guard let pids = listed(), let own = ProcessLine(of: 1)?.threads, threads >= 0 else { return nil }
        return (Set(pids).subtracting([1]), threads - own)
    }

    /// nil: not all of them could be read.
    private static func listed() -> [Int32]? {
        do throws(LinuxSystemError) {
            let proc = try FileDescriptor.open("/proc", O_RDONLY | O_DIRECTORY)
            var stream = try DirectoryStream(proc.raw, subject: "/proc")
            var pids: [Int32] = []
            while let entry = try stream.next() {
                // gVisor lists those that are just going as 0, which for `kill` means ourselves.
                if let pid = Int32(entry.text), pid > 0 { pids.append(pid) }
            }
            return pids
        } catch {
            return nil
        }
    }

    /// What runs below this process now, one process after the other: none that was there all the time is missing.
    package static func scan() -> [(pid: Int32, line: ProcessLine)] {
        var table: [Int32: ProcessLine] = [:]
        for pid in listed() ?? [] { table[pid] = ProcessLine(of: pid) }
        return descendants(of: getpid(), in: table).compactMap { pid in table[pid].map { (pid, $0) } }
    }

    /// - Returns: those that are not zombies.
    package static func descendants(of root: Int32, in table: [Int32: ProcessLine]) -> [Int32] {
        var children: [Int32: [Int32]] = [:]
        for (pid, line) in table { children[line.parent, default: []].append(pid) }
        var found: [Int32] = []
        var open = [root]
        var seen: Set<Int32> = [root]
        while let next = open.popLast() {
            for child in children[next] ?? [] where seen.insert(child).inserted {
                open.append(child)
                if table[child]?.isZombie == false { found.append(child) }
            }
        }
        return found
    }

    /// What matters of `/proc/<pid>/stat`.
    package struct ProcessLine: Hashable, Sendable {
        package let parent: Int32
        package let group: Int32
        package let session: Int32
        package let residentPages: Int
        /// As the kernel writes it: `R`, `S`, `D`, `T`, `Z`, …
        package let state: Character
        /// In clock ticks: of itself, and of the children that it has collected.
        package let ownTicks: Int
        package let collectedTicks: Int
        package let threads: Int
        /// When it began, in clock ticks since the kernel's start. With the pid it names a process for good.
        package let startTicks: UInt64
        package var isZombie: Bool { state == "Z" || state == "X" }

        /// nil: there is no such process.
        package init?(of pid: Int32) {
            guard let file = try? FileDescriptor.open("/proc/\(pid)/stat", O_RDONLY),
                let bytes = try? file.readAll(upTo: 1 << 16, "/proc")
            else { return nil }
            self.init(String(decoding: bytes, as: UTF8.self))
        }

        package init?(_ text: String) {
            // The name stands in parentheses and may itself have spaces and parentheses.
            guard let end = text.utf8.lastIndex(of: UInt8(ascii: ")")) else { return nil }
            let fields = text[text.utf8.index(after: end)...].split(separator: " ")
            guard fields.count >= 22, let parent = Int32(fields[1]), let group = Int32(fields[2]),
                let session = Int32(fields[3]), let pages = Int(fields[21]), let state = fields[0].first
            else { return nil }
            func number(_ index: Int) -> Int { max(0, Int(fields[index]) ?? 0) }
            self.parent = parent
            self.group = group
            self.session = session
            self.state = state
            residentPages = pages
            ownTicks = number(11) &+ number(12)
            collectedTicks = number(13) &+ number(14)
            threads = number(17)
            startTicks = UInt64(fields[19]) ?? 0
        }
    }
}
