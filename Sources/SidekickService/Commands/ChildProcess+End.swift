import Glibc
import LinuxSystem

extension ChildProcess {
    /// Ends the whole group: first politely, then for certain. Returns at once; nothing of the group outlives its leader.
    /// - Parameter grace: what it gets between the two.
    func end(_ politely: Int32, grace: Duration) {
        terminate(politely)
        // What is stopped acts on nothing else.
        terminate(SIGCONT)
        // At a shell's edge: it ends by itself after one sleep, and outlives whoever gave the order on purpose.
        Task {
            try? await Task.sleep(for: grace)
            // With its leader the rest has gone.
            if currentExitStatus == nil { terminate(SIGKILL) }
        }
    }
}
