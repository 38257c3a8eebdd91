import ComputeCore
import ComputeRuntime
import Glibc

/// Ends a member's processes and deletes its directory. Blocks; repeating it is harmless.
enum MemberRemoval {
    /// How long the Sidekick has to end its children itself.
    static let grace: Duration = .seconds(1)
    /// A killed process goes within milliseconds, unless the kernel holds it in a call that cannot be interrupted.
    static let killDeadline: Duration = .seconds(5)

    static func remove(_ directory: MemberDirectory) throws(RuntimeError) {
        try endProcesses(of: directory)
        try DirectoryRemoval.remove(directory.path)
    }

    /// The Sidekick is a subreaper: whatever its compute started is below it, also what made its own session.
    private static func endProcesses(of directory: MemberDirectory) throws(RuntimeError) {
        var sidekicks: Set<ProcessIdentity> = Set(ProcessTable.processes(of: directory))
        if let process = directory.record()?.process, process.isAlive { sidekicks.insert(process) }
        guard !sidekicks.isEmpty else { return }

        // Asked first, because it knows how to end its children in order. What it had is written down, since
        // whatever it leaves behind is not below it any more.
        var all = sidekicks
        for process in sidekicks { process.signal(SIGTERM) }
        let asked = ContinuousClock.now
        while ContinuousClock.now - asked < grace, sidekicks.contains(where: \.isAlive) {
            all.formUnion(ProcessTable.descendants(of: Set(sidekicks.map(\.pid))))
            usleep(5000)
        }

        // Stopped before killed: a process that forks faster than we look cannot escape when none of them runs.
        let forced = ContinuousClock.now
        all.formUnion(ProcessTable.processes(of: directory))
        while all.contains(where: \.isAlive) {
            guard ContinuousClock.now - forced < killDeadline else {
                throw RuntimeError(.unavailable, "processes of member \(directory.name) do not end")
            }
            var known = all.filter(\.isAlive)
            while !known.isEmpty {
                for process in known { process.signal(SIGSTOP) }
                let found = Set(ProcessTable.descendants(of: Set(all.filter(\.isAlive).map(\.pid))))
                known = found.subtracting(all)
                all.formUnion(found)
            }
            for process in all { process.signal(SIGKILL) }
            usleep(2000)
            all.formUnion(ProcessTable.processes(of: directory))
        }
    }
}
