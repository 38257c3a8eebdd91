import CLinux
import Glibc
import Synchronization

/// Owns every child of this process: starts them, reaps them, signals them.
///
///     thread:  wait for any exit, unreaped ──▶ lock: table says whose ──▶ reap ──▶ unlock ──▶ tell the owner
///     spawn:   lock: announce ──▶ unlock ──▶ clone, wait for exec ──▶ lock: register
///     signal:  lock: held unreaped? ──▶ kill the group
///     starts:  every few seconds, while there are any: a start that hangs is killed
///
/// There is one per process and it takes all exits, so no other code of the process may wait for children: it would
/// steal statuses from here, and this would steal them from it.
package final class Reaper: Sendable {
    private typealias Table = ProcessTable<ChildEnding>

    private struct Start {
        let pid: StartedPID
        let began: ContinuousClock.Instant
    }

    private struct State: ~Copyable {
        var table = Table()
        var starts: [Table.StartID: Start] = [:]
        /// The thread that looks after starts sleeps until the next one.
        var isWatchIdle = true
        var startCount: UInt64 = 0
        /// Nothing runs below this process but what was set aside. Who wants to hear of the next start waits for an event of
        /// his own.
        var isAtRest = false
        var activityEvents: [Int32] = []
        /// Children that do nothing until they are told to.
        var aside: Set<Int32> = []
    }

    /// From clone to exec it is milliseconds, on a crowded machine tenths of a second. But until exec the child waits
    /// for nobody's good will: it has the user's identity, so the user's processes can stop it, and with it our thread.
    package static let startLimit: Duration = .seconds(5)

    private let state = Mutex(State())
    /// Counts up at each start; the thread sleeps on it when the kernel knows no children.
    private let childrenEvent: Int32
    private let startsEvent: Int32

    private init(childrenEvent: Int32, startsEvent: Int32) {
        self.childrenEvent = childrenEvent
        self.startsEvent = startsEvent
    }

    /// Starts the one reaper of this process. It lives as long as the process.
    package static func start() throws(LinuxSystemError) -> Reaper {
        let subreaper = clinux_become_subreaper()
        // Older gVisor builds (Debian's of 2022-12) know no subreapers. The init process needs none: orphans come to it.
        guard subreaper == 0 || getpid() == 1 else {
            throw LinuxSystemError(.init(errno: -subreaper), "become subreaper")
        }
        let reaper = Reaper(childrenEvent: try event(), startsEvent: try event())
        try OwnThread.start("reaper") { reaper.run() }
        try OwnThread.start("starts") { reaper.watchStarts() }
        return reaper
    }

    private static func event() throws(LinuxSystemError) -> Int32 {
        let event = clinux_event_open()
        guard event >= 0 else { throw LinuxSystemError(.init(errno: -event), "eventfd") }
        return event
    }

    /// Starts a process and waits until its program runs. **Blocks** for some milliseconds, `startLimit` at the worst:
    /// call it on a thread that may. The descriptors stay the caller's.
    package func spawn(_ order: ProcessOrder, input: Int32, output: Int32, error: Int32) throws(SpawnFailure)
        -> ChildProcess
    {
        let ending = ChildEnding()
        let pid = StartedPID()
        let (start, wakesWatch, sleepers) = state.withLock { state in
            let start = state.table.starting(owner: ending)
            state.starts[start] = Start(pid: pid, began: .now)
            defer {
                state.isWatchIdle = false
                state.startCount += 1
                state.isAtRest = false
            }
            return (start, state.isWatchIdle, state.isAtRest ? state.activityEvents : [])
        }
        if wakesWatch { clinux_event_raise(startsEvent) }
        for event in sleepers { clinux_event_raise(event) }
        defer {
            state.withLock { state in
                state.starts[start] = nil
                if let pid = pid.value {
                    if let missed = state.table.started(start, pid: pid) { Glibc.kill(-pid, missed) }
                } else {
                    state.table.notStarted(start)
                }
            }
            // After a start that fails to execute as well: that child too is there to be reaped.
            clinux_event_raise(childrenEvent)
        }
        try order.start(input: input, output: output, error: error, pid: pid)
        guard let number = pid.value else { throw SpawnFailure(.fork, .init(errno: ECHILD)) }
        return ChildProcess(pid: number, ending: ending, reaper: self)
    }

    private func watchStarts() -> Never {
        while true {
            clinux_event_wait(startsEvent)
            var isIdle = false
            while !isIdle {
                sleep(UInt32(Self.startLimit.components.seconds))
                isIdle = state.withLock { state in
                    let overdue = ContinuousClock.now - Self.startLimit
                    for (id, start) in state.starts where start.began <= overdue && state.table.isStarting(id) {
                        // Not reaped, because it is starting: the number is still its own.
                        if let pid = start.pid.value { Glibc.kill(pid, SIGKILL) }
                    }
                    state.isWatchIdle = state.starts.isEmpty
                    return state.isWatchIdle
                }
            }
        }
    }

    func signal(_ pid: Int32, _ number: Int32, terminating: Bool) {
        state.withLock { state in
            switch terminating ? state.table.terminationRequested(pid) : state.table.signalRequested(pid) {
            case .signalGroup: Glibc.kill(-pid, number)
            case .doNothing: break
            }
        }
    }

    /// To every group that still has its leader, for the end of the process; also to those that start from now on.
    package func terminateAll(_ number: Int32) {
        state.withLock { state in
            for pid in state.table.allTerminationRequested(number) { Glibc.kill(-pid, number) }
        }
    }

    /// Ends a process group because of what it uses. Its leader's owner can tell.
    package func kill(group: Int32, for exhausted: ExhaustedResource) {
        state.withLock { state in
            state.table.owner(of: group)?.exhausted.store(exhausted.rawValue, ordering: .relaxed)
            Glibc.kill(-group, SIGKILL)
        }
    }

    /// Ends single processes because of what they use. The owners of those that are our children can tell.
    package func kill(_ pids: Set<Int32>, for exhausted: ExhaustedResource) {
        state.withLock { state in
            for pid in pids {
                state.table.owner(of: pid)?.exhausted.store(exhausted.rawValue, ordering: .relaxed)
                Glibc.kill(pid, SIGKILL)
            }
        }
    }

    /// The child does nothing until it is told to.
    package func setAside(_ child: ChildProcess) {
        state.withLock { state in
            if state.table.owner(of: child.pid) != nil { state.aside.insert(child.pid) }
        }
    }

    /// Those that were set aside, and live.
    package var aside: Set<Int32> { state.withLock { $0.aside } }

    /// It is told to.
    package func bringBack(_ child: ChildProcess) {
        let sleepers = state.withLock { state in
            state.aside.remove(child.pid)
            defer { state.isAtRest = false }
            return state.isAtRest ? state.activityEvents : []
        }
        for event in sleepers { clinux_event_raise(event) }
    }

    /// For one thread that looks after what runs below this process.
    package struct Activity: Sendable {
        fileprivate let reaper: Reaper
        fileprivate let event: Int32

        /// **Blocks** while nothing runs but what was set aside.
        package func wait() {
            reaper.lookForRest()
            while reaper.state.withLock({ $0.isAtRest }) { clinux_event_wait(event) }
        }
    }

    package func activity() throws(LinuxSystemError) -> Activity {
        let event = try Self.event()
        state.withLock { $0.activityEvents.append(event) }
        return Activity(reaper: self, event: event)
    }

    private func lookForRest() {
        let (startCount, aside) = state.withLock { state in
            (state.startCount, state.table.pids.count == state.aside.count ? state.aside : [])
        }
        // Children of others that came to us are in no table, so somebody has to look.
        guard !aside.isEmpty, Descendants.scan().allSatisfy({ aside.contains($0.pid) }) else { return }
        state.withLock { state in
            if state.startCount == startCount, state.starts.isEmpty, state.aside == aside { state.isAtRest = true }
        }
    }

    /// How many have been started so far, or should have been.
    package var starts: UInt64 { state.withLock { $0.startCount } }

    /// Children that run or start.
    package var count: Int { state.withLock { $0.table.count } }

    private func run() -> Never {
        while true {
            let startCount = state.withLock { $0.startCount }
            let pid = clinux_wait_any_exited()
            if pid > 0 {
                reap(pid)
            } else {
                state.withLock { state in
                    // A start since then may have a child already that the kernel did not yet know.
                    if state.startCount == startCount, state.starts.isEmpty { state.isAtRest = true }
                }
                // No children, and so no orphans to come either: those arrive before their parent's exit is reported.
                clinux_event_wait(childrenEvent)
            }
        }
    }

    private func reap(_ pid: Int32) {
        var value: Int32 = 0
        var signalled: Int32 = 0
        let owner = state.withLock { state -> ChildEnding? in
            state.aside.remove(pid)
            let start = state.starts.first { $0.value.pid.value == pid && state.table.isStarting($0.key) }?.key
            switch state.table.exited(pid, start: start) {
            case .handOver(let ending, let killGroupFirst):
                if killGroupFirst { Glibc.kill(-pid, SIGKILL) }
                clinux_reap(pid, &value, &signalled)
                return ending
            case .reapOrphan:
                clinux_reap(pid, &value, &signalled)
                return nil
            }
        }
        owner?.status.set(signalled == 1 ? .signalled(value) : .exited(value))
    }
}
