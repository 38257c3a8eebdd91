/// A started process, the leader of its group. It is reaped whether or not anybody looks at it.
package final class ChildProcess: Sendable {
    package let pid: Int32
    let ending = OneShot<ExitStatus>()
    private let reaper: Reaper

    init(pid: Int32, reaper: Reaper) {
        self.pid = pid
        self.reaper = reaper
    }

    /// How it ended; returns when the kernel says so.
    package func exitStatus() async -> ExitStatus { await ending.wait() }

    /// nil: it runs.
    package var currentExitStatus: ExitStatus? { ending.current }

    /// To the whole process group; nothing when the leader is gone.
    package func signal(_ number: Int32) { reaper.signal(pid, number, terminating: false) }

    /// As `signal`, and nothing of the group outlives its leader.
    package func terminate(_ number: Int32) { reaper.signal(pid, number, terminating: true) }
}
