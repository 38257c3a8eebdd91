package import ComputeCore
package import ComputeRuntime
import Logging
import Synchronization

extension ProcessRuntime {
    package func places() async throws(RuntimeError) -> [Place] {
        let records = await BlockingThreads.run { [members] in
            MemberDirectory.all(under: members).map { directory in
                let record = directory.record()
                return (directory, record, record?.process?.isAlive ?? false)
            }
        }
        return state.withLock { state in
            records.compactMap { directory, record, isAlive in
                let name = directory.name
                guard !state.starting.contains(name) else { return nil }
                let standing: Place.Standing =
                    state.pool.isIdle(name) ? .idle : state.takenAt[name].map { .taken(at: $0) } ?? .leftover
                // A record without a process was read while the start was under way, which it is not any more: the
                // member may be a create's by now, and must not look dead to the sweep.
                let isAlive = isAlive || (record?.process == nil && state.running.contains(name))
                return Place(
                    member: directory.member, isAlive: isAlive, standing: standing,
                    startedAt: record?.startedAt ?? WallTime(milliseconds: 0))
            }
        }
    }

    package func remove(_ name: MemberName) async throws(RuntimeError) {
        guard let directory = MemberDirectory(members: members, name: name) else { return }
        step { $0.pool.forget(name) }
        try await BlockingThreads.run { () throws(RuntimeError) in try MemberRemoval.remove(directory) }
        state.withLock { state in
            state.takenAt[name] = nil
            state.startedAt[name] = nil
        }
    }

    package func shutdown(keep: Bool) async {
        step { state in
            state.isShutDown = true
            // Removed below, since `run()` may have ended.
            return state.pool.drain().filter {
                if case .remove = $0 { false } else { true }
            }
        }
        // A start that is under way removes its own member; it ends at its deadline at the latest.
        while state.withLock({ !$0.starting.isEmpty }) { await pause() }
        let names: [MemberName]
        if keep {
            // Ours that nobody took: idle ones, and one whose start ended this moment.
            names = state.withLock { state in state.startedAt.keys.filter { state.takenAt[$0] == nil } }
        } else {
            names = await BlockingThreads.run { [members] in MemberDirectory.all(under: members).map(\.name) }
        }
        await removeAll(names)
        orderQueue.finish()
    }

    /// Leftovers whose process is gone, and starts that were cut off: nothing can be done with them.
    func removeDeadLeftovers() async {
        guard let places = try? await places() else { return }
        await removeAll(places.filter { !$0.isAlive && $0.standing == .leftover }.map(\.member.name))
    }

    private func removeAll(_ names: [MemberName]) async {
        await withDiscardingTaskGroup { group in
            for name in names {
                group.addTask {
                    do { try await self.remove(name) } catch {
                        self.logger.error(
                            "A member could not be removed", metadata: ["member": "\(name)", "error": "\(error)"])
                    }
                }
            }
        }
    }

    /// Also pauses in a cancelled task, which is where a shutdown runs.
    func pause() async { await Task.detached { try? await Task.sleep(for: .milliseconds(5)) }.value }
}
