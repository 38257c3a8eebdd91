import ComputeCore
import Glibc
import LinuxSystem

/// The processes that run in the compute: everything below the Sidekick, and nothing else.
final class ProcessService: Sendable {
    struct Entry: Hashable, Sendable {
        let pid: Int32
        let line: Descendants.ProcessLine
        let uid: UInt32?
        let user: String?
        let arguments: [String]
        let startedAt: WallTime?
        let age: Duration?
        let ports: [Int]
    }

    private let monitor: PortMonitor
    private let threads: ScanThreads
    private let reaper: Reaper

    /// - Parameter reaper: what it has set aside is nobody's command yet, and left out.
    init(monitor: PortMonitor, threads: ScanThreads, reaper: Reaper) {
        self.monitor = monitor
        self.threads = threads
        self.reaper = reaper
    }

    func list() async throws -> [Entry] {
        var ports: [Int32: [Int]] = [:]
        for listener in await monitor.listeners() {
            if let owner = listener.owner { ports[owner.pid, default: []].append(listener.port) }
        }
        let now = SystemWallClock().now()
        return try await threads.asOurselves { [ports, reaper] in
            let hidden = reaper.aside
            let accounts = try? AccountFiles.read()
            let bootTime = KernelFigures.bootTime()
            return Descendants.scan().compactMap { pid, line in
                guard !hidden.contains(pid), let details = ProcessDetails(of: pid) else { return nil }
                let uid = details.uids.first
                let startedAt = bootTime.map { boot in
                    WallTime(
                        milliseconds: Int64(boot) * 1000
                            + Int64(min(line.startTicks, 1 << 50)) * 1000 / Int64(KernelFigures.ticksPerSecond))
                }
                return Entry(
                    pid: pid, line: line, uid: uid, user: uid.flatMap { accounts?.account(uid: $0)?.name },
                    arguments: details.arguments, startedAt: startedAt, age: startedAt.map { now - $0 },
                    ports: ports[pid] ?? [])
            }.sorted { $0.pid < $1.pid }
        }
    }

    func get(_ pid: Int32) async throws -> Entry {
        guard let entry = try await list().first(where: { $0.pid == pid }) else { throw Self.unknown(pid) }
        return entry
    }

    /// Sends a signal with the user's rights: to a process below the Sidekick that is the user's, or to those of its
    /// group that are.
    ///
    /// What runs as somebody else (a `sudo` child) is refused: `sudo kill` is there for it. The kernel is not left to
    /// decide that alone, since for it a thread that is the user is still root's by its real id.
    /// - Returns: how many processes it was sent to.
    func signal(_ pid: Int32, _ number: SignalNumber, group: Bool, in compute: ComputeContext) async throws
        -> Int
    {
        let uid = compute.user.ids?.uid
        let targets = try await threads.asOurselves { try Self.targets(pid, group: group, uid: uid) }
        return try await threads.asUser {
            targets.filter { target in
                // The number may have been given away since the scan; with its start it is the same process, and for the
                // microsecond from here to the signal it stays that.
                guard Descendants.ProcessLine(of: target.pid)?.startTicks == target.startTicks else { return false }
                return kill(target.pid, number.rawValue) == 0
            }.count
        }
    }

    private struct Target: Sendable {
        let pid: Int32
        let startTicks: UInt64
    }

    private static func targets(_ pid: Int32, group: Bool, uid: UInt32?) throws(Problem) -> [Target] {
        let processes = Descendants.scan()
        guard let asked = processes.first(where: { $0.pid == pid }) else { throw unknown(pid) }
        let members = processes.filter { group ? $0.line.group == asked.line.group : $0.pid == pid }
        let allowed = members.filter { member in
            guard let uid else { return true }
            guard let uids = ProcessDetails(of: member.pid)?.uids, uids.count >= 3 else { return false }
            // As the kernel compares: a process that may take another identity back is that one's too.
            return uids[0] == uid && uids[2] == uid
        }
        guard !allowed.isEmpty else {
            throw Problem(
                status: 403, code: .forbidden, message: "process \(pid) is not the user's; try sudo kill", field: "pid")
        }
        return allowed.map { Target(pid: $0.pid, startTicks: $0.line.startTicks) }
    }

    private static func unknown(_ pid: Int32) -> Problem { .notFound("there is no process \(pid) in the compute") }

    /// For people; nil when it has gone.
    static func command(of pid: Int32) -> String? {
        ProcessDetails(of: pid).map { $0.arguments.joined(separator: " ") }
    }
}
