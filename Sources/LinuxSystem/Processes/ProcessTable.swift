/// Which children of this process have an owner, and what may be done to them. A value: `Reaper` is its shell.
///
/// A pid is ours from the clone until it is reaped: the kernel cannot give it to anybody else before. So an entry lives
/// exactly as long, and a signal is allowed exactly while there is one.
///
///     starting ┌──────────┐ started ┌─────────┐ terminationRequested ┌─────────────┐
///       ──────▶│ starting │────────▶│ running │─────────────────────▶│ terminating │
///              └────┬─────┘         └────┬────┘                      └──────┬──────┘
///                   │ exited             └──▶ hand over                     └──▶ kill the rest of the group, hand over
///                   └──▶ hand over; `started` then finds nothing
package struct ProcessTable<Owner>: ~Copyable {
    private enum State {
        /// Nobody asked it to end. What it leaves in its group at its exit is left alone: people start servers with
        /// `nohup … &` and go.
        case running
        /// Somebody wants it and all its group gone.
        case terminating
    }

    package struct StartID: Hashable, Sendable { fileprivate let value: UInt64 }

    private var entries: [Int32: (state: State, owner: Owner)] = [:]
    private var starts: [StartID: Owner] = [:]
    private var nextStart: UInt64 = 1
    private var termination: Int32?

    package init() {}

    package var count: Int { entries.count + starts.count }

    /// Before the clone: the exit may be seen before whoever starts it can say its pid.
    package mutating func starting(owner: Owner) -> StartID {
        defer { nextStart += 1 }
        let start = StartID(value: nextStart)
        starts[start] = owner
        return start
    }

    /// It runs, or has run: then it is known already.
    /// - Returns: the signal that all were sent at `allTerminationRequested`, for its group: it was not among them.
    @discardableResult
    package mutating func started(_ start: StartID, pid: Int32) -> Int32? {
        guard let owner = starts.removeValue(forKey: start) else { return nil }
        precondition(entries[pid] == nil, "the kernel does not reuse the pid of an unreaped child")
        entries[pid] = (termination == nil ? .running : .terminating, owner)
        return termination
    }

    /// There was no clone.
    package mutating func notStarted(_ start: StartID) { starts[start] = nil }

    /// Whether its exit has not been seen.
    package func isStarting(_ start: StartID) -> Bool { starts[start] != nil }

    package enum SignalOrder: Equatable {
        /// To the process group, whose leader is held: the number means the same processes as ever.
        case signalGroup
        /// Reaped already: the number may belong to somebody else by now. A late signal is no mistake.
        case doNothing
    }

    package func signalRequested(_ pid: Int32) -> SignalOrder {
        entries[pid] == nil ? .doNothing : .signalGroup
    }

    /// From now on nothing of the group outlives its leader.
    package mutating func terminationRequested(_ pid: Int32) -> SignalOrder {
        guard let entry = entries[pid] else { return .doNothing }
        entries[pid] = (.terminating, entry.owner)
        return .signalGroup
    }

    /// For the end of this process.
    /// - Returns: the groups to send the signal to now. Those whose start is under way follow at `started`.
    package mutating func allTerminationRequested(_ number: Int32) -> [Int32] {
        termination = number
        for (pid, entry) in entries { entries[pid] = (.terminating, entry.owner) }
        return Array(entries.keys)
    }

    package enum ExitOrder {
        /// Kill the group first if told to, then reap, then tell the owner.
        case handOver(Owner, killGroupFirst: Bool)
        /// Somebody else's child, whose parent died: reap it and forget it.
        case reapOrphan
    }

    /// The kernel reports an exit, not yet reaped. The entry is gone afterwards: the reaping follows at once, under
    /// the same lock.
    /// - Parameter start: the start under way that has this pid.
    package mutating func exited(_ pid: Int32, start: StartID? = nil) -> ExitOrder {
        guard let entry = entries.removeValue(forKey: pid) else {
            guard let owner = start.flatMap({ starts.removeValue(forKey: $0) }) else { return .reapOrphan }
            return .handOver(owner, killGroupFirst: false)
        }
        switch entry.state {
        case .running: return .handOver(entry.owner, killGroupFirst: false)
        case .terminating: return .handOver(entry.owner, killGroupFirst: true)
        }
    }

    package func owner(of pid: Int32) -> Owner? { entries[pid]?.owner }

    package var pids: [Int32] { Array(entries.keys) }
}
