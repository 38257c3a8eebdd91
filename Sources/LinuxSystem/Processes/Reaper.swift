import CLinux
import Glibc
import Synchronization

/// Owns every child of this process: starts them, reaps them, signals them.
///
///     thread:  wait for any exit, unreaped ──▶ lock: table says whose ──▶ reap ──▶ unlock ──▶ tell the owner
///     spawn:   lock: fork + register ──▶ unlock ──▶ wait for exec
///     signal:  lock: held unreaped? ──▶ kill the group
///
/// There is one per process and it takes all exits, so no other code of the process may wait for children: it would
/// steal statuses from here, and this would steal them from it.
package final class Reaper: Sendable {
    private let table = Mutex(ProcessTable<ChildProcess>())
    /// Counts up at each fork; the thread sleeps on it when the kernel knows no children.
    private let childrenEvent: Int32

    private init(childrenEvent: Int32) { self.childrenEvent = childrenEvent }

    /// Starts the one reaper of this process. It lives as long as the process.
    package static func start() throws(LinuxSystemError) -> Reaper {
        let subreaper = clinux_become_subreaper()
        // Older gVisor builds (Debian's of 2022-12) know no subreapers. The init process needs none: orphans come to it.
        guard subreaper == 0 || getpid() == 1 else {
            throw LinuxSystemError(.init(errno: -subreaper), "become subreaper")
        }
        let event = clinux_event_open()
        guard event >= 0 else { throw LinuxSystemError(.init(errno: -event), "eventfd") }
        let reaper = Reaper(childrenEvent: event)
        try OwnThread.start("reaper") { reaper.run() }
        return reaper
    }

    /// Starts a process and waits until its program runs. **Blocks** for some milliseconds: call it on a thread that
    /// may. The descriptors stay the caller's.
    package func spawn(_ order: ProcessOrder, input: Int32, output: Int32, error: Int32) throws(SpawnFailure)
        -> ChildProcess
    {
        var report: Int32 = -1
        let child = try table.withLock { table throws(SpawnFailure) -> ChildProcess in
            let pid = try order.fork(input: input, output: output, error: error, report: &report)
            let child = ChildProcess(pid: pid, reaper: self)
            table.started(pid, owner: child)
            return child
        }
        // After a fork that fails to execute as well: that child too is there to be reaped.
        clinux_event_raise(childrenEvent)
        try ProcessOrder.awaitExec(report: report)
        return child
    }

    func signal(_ pid: Int32, _ number: Int32, terminating: Bool) {
        table.withLock { table in
            switch terminating ? table.terminationRequested(pid) : table.signalRequested(pid) {
            case .signalGroup: kill(-pid, number)
            case .doNothing: break
            }
        }
    }

    /// To every group that still has its leader, for the end of the process.
    package func terminateAll(_ number: Int32) {
        table.withLock { table in
            for pid in table.pids where table.terminationRequested(pid) == .signalGroup { kill(-pid, number) }
        }
    }

    /// Children that run.
    package var count: Int { table.withLock { $0.count } }

    private func run() -> Never {
        while true {
            let pid = clinux_wait_any_exited()
            if pid > 0 {
                reap(pid)
            } else {
                // No children, and so no orphans to come either: those arrive before their parent's exit is reported.
                clinux_event_wait(childrenEvent)
            }
        }
    }

    private func reap(_ pid: Int32) {
        var value: Int32 = 0
        var signalled: Int32 = 0
        let owner = table.withLock { table -> ChildProcess? in
            switch table.exited(pid) {
            case .handOver(let child, let killGroupFirst):
                if killGroupFirst { kill(-pid, SIGKILL) }
                clinux_reap(pid, &value, &signalled)
                return child
            case .reapOrphan:
                clinux_reap(pid, &value, &signalled)
                return nil
            }
        }
        owner?.ending.set(signalled == 1 ? .signalled(value) : .exited(value))
    }
}
