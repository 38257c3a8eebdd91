import Synchronization

/// A started process, the leader of its group. It is reaped whether or not anybody looks at it.
package final class ChildProcess: Sendable {
    package let pid: Int32
    private let ending: ChildEnding
    private let reaper: Reaper

    init(pid: Int32, ending: ChildEnding, reaper: Reaper) {
        self.pid = pid
        self.ending = ending
        self.reaper = reaper
    }

    /// How it ended; returns when the kernel says so.
    package func exitStatus() async -> ExitStatus { await ending.status.wait() }

    /// nil: it runs.
    package var currentExitStatus: ExitStatus? { ending.status.current }

    /// What it was killed for by `Reaper.kill`; nil: neither it nor its group was.
    package var exhausted: ExhaustedResource? { ExhaustedResource(rawValue: ending.exhausted.load(ordering: .relaxed)) }

    /// To the whole process group; nothing when the leader is gone.
    package func signal(_ number: Int32) { reaper.signal(pid, number, terminating: false) }

    /// As `signal`, and nothing of the group outlives its leader.
    package func terminate(_ number: Int32) { reaper.signal(pid, number, terminating: true) }
}

/// What the reaper keeps of a child: where its end is told.
final class ChildEnding: Sendable {
    let status = OneShot<ExitStatus>()
    /// Of an `ExhaustedResource`; 0 of none.
    let exhausted = Atomic<UInt8>(0)
}

/// What the machine, or the compute, has too little of, so that somebody has to go.
package enum ExhaustedResource: UInt8, Hashable, Sendable {
    case memory = 1
    case processes
}
