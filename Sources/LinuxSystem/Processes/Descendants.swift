import Glibc

/// All processes below this one, also those that left their session: with this process as subreaper they cannot leave
/// its tree. For the end of the process, when nothing is started any more.
package enum Descendants {
    /// Kills until none is left or the deadline passes. Blocking. Their parents, or the reaper, collect them.
    /// - Returns: whether none is left.
    package static func killAll(within limit: Duration) -> Bool {
        let clock = ContinuousClock()
        let deadline = clock.now + limit
        while true {
            let pids = alive()
            if pids.isEmpty { return true }
            guard clock.now < deadline else { return false }
            // What is forked between the scan and the signal is found by the next scan.
            for pid in pids { kill(pid, SIGKILL) }
            usleep(2000)
        }
    }

    private static func alive() -> [Int32] { scan().map(\.pid) }

    /// What runs below this process now, one process after the other: none that was there all the time is missing.
    package static func scan() -> [(pid: Int32, line: ProcessLine)] {
        guard let proc = try? FileDescriptor.open("/proc", O_RDONLY | O_DIRECTORY),
            var stream = try? DirectoryStream(proc.raw, subject: "/proc")
        else { return [] }
        var table: [Int32: ProcessLine] = [:]
        while let entry = try? stream.next() {
            guard let pid = Int32(entry.text),
                let file = try? FileDescriptor.open("/proc/\(pid)/stat", O_RDONLY),
                let bytes = try? file.readAll(upTo: 1 << 16, "/proc"),
                let line = ProcessLine(String(decoding: bytes, as: UTF8.self))
            else { continue }
            table[pid] = line
        }
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
        package let residentPages: Int
        package let isZombie: Bool

        package init?(_ text: String) {
            // The name stands in parentheses and may itself have spaces and parentheses.
            guard let end = text.utf8.lastIndex(of: UInt8(ascii: ")")) else { return nil }
            let fields = text[text.utf8.index(after: end)...].split(separator: " ")
            guard fields.count >= 22, let parent = Int32(fields[1]), let group = Int32(fields[2]),
                let pages = Int(fields[21])
            else { return nil }
            self.parent = parent
            self.group = group
            residentPages = pages
            isZombie = fields[0] == "Z" || fields[0] == "X"
        }
    }
}
