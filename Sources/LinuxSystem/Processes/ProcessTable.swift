/// Which children of this process have an owner, and what may be done to them. A value: `Reaper` is its shell.
///
/// A pid is ours from the fork until it is reaped: the kernel cannot give it to anybody else before. So an entry lives
/// exactly as long, and a signal is allowed exactly while there is one.
///
///     started            terminationRequested         exited
///       │   ┌─────────┐ ──────────────────────▶ ┌─────────────┐
///       └──▶│ running │                         │ terminating │
///           └────┬────┘                         └──────┬──────┘
///                └──▶ hand over                        └──▶ kill the rest of the group, hand over
package struct ProcessTable<Owner>: ~Copyable {
    private enum State {
        /// Nobody asked it to end. What it leaves in its group at its exit is left alone: people start servers with
        /// `nohup … &` and go.
        case running
        /// Somebody wants it and all its group gone.
        case terminating
    }

    private var entries: [Int32: (state: State, owner: Owner)] = [:]

    package init() {}

    package var count: Int { entries.count }

    /// A fork returned `pid`. In the same critical section as the fork, or the reaper could see the exit first.
    package mutating func started(_ pid: Int32, owner: Owner) {
        precondition(entries[pid] == nil, "the kernel does not reuse the pid of an unreaped child")
        entries[pid] = (.running, owner)
    }

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

    package enum ExitOrder {
        /// Kill the group first if told to, then reap, then tell the owner.
        case handOver(Owner, killGroupFirst: Bool)
        /// Somebody else's child, whose parent died: reap it and forget it.
        case reapOrphan
    }

    /// The kernel reports an exit, not yet reaped. The entry is gone afterwards: the reaping follows at once, under
    /// the same lock.
    package mutating func exited(_ pid: Int32) -> ExitOrder {
        guard let entry = entries.removeValue(forKey: pid) else { return .reapOrphan }
        switch entry.state {
        case .running: return .handOver(entry.owner, killGroupFirst: false)
        case .terminating: return .handOver(entry.owner, killGroupFirst: true)
        }
    }

    package var pids: [Int32] { Array(entries.keys) }
}
