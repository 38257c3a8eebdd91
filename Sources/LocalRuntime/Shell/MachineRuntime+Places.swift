package import ComputeCore
package import ComputeRuntime
import Logging
import Synchronization

extension MachineRuntime {
    package func places() async throws(RuntimeError) -> [Place] {
        let surveys = await BlockingThreads.run { [isolation] in isolation.survey() }
        return state.withLock { state in
            let idle = state.pool.idleNames
            return surveys.compactMap { survey in
                let name = survey.member.name
                guard !state.starting.contains(name) else { return nil }
                let standing: Place.Standing =
                    idle.contains(name) ? .idle : state.takenAt[name].map { .taken(at: $0) } ?? .leftover
                // A record without a process was read while the start was under way, which it is not any more: the
                // member may be a create's by now, and must not look dead to the sweep.
                let isAlive = survey.isAlive || (survey.process == nil && state.running.contains(name))
                var place = Place(
                    member: survey.member, isAlive: isAlive, standing: standing, startedAt: survey.startedAt,
                    isFrozen: survey.isFrozen, disk: survey.disk)
                place.network = survey.network
                return place
            }
        }
    }

    package func freeze(_ name: MemberName) async throws(RuntimeError) {
        try await BlockingThreads.run { [isolation] () throws(RuntimeError) in try isolation.freeze(name) }
    }

    package func thaw(_ name: MemberName) async throws(RuntimeError) {
        try await BlockingThreads.run { [isolation] () throws(RuntimeError) in try isolation.thaw(name) }
    }

    package func setNetwork(_ policy: NetworkPolicy, of name: MemberName) async throws(RuntimeError) {
        try await isolation.setNetwork(policy, of: name)
    }

    /// One removal per member at a time: who asks meanwhile waits for the same one.
    package func remove(_ name: MemberName) async throws(RuntimeError) { try await remove(name, inOrder: false) }

    func remove(_ name: MemberName, inOrder: Bool) async throws(RuntimeError) {
        // A name comes from outside and becomes a path.
        guard MemberDirectory(members: settings.members, name: name) != nil else { return }
        step { $0.pool.forget(name) }
        let removal = state.withLock { state in
            if let removal = state.removals[name] { return removal }
            // Nobody's child: a removal that was begun ends, also when its caller goes away.
            let removal = Task { await self.removeAlone(name, inOrder) }
            state.removals[name] = removal
            return removal
        }
        try await removal.value.get()
    }

    private func removeAlone(_ name: MemberName, _ inOrder: Bool) async -> Result<Void, RuntimeError> {
        if inOrder { await isolation.quiesce(name) }
        let result: Result<Void, RuntimeError>
        do throws(RuntimeError) {
            try await isolation.remove(name)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        state.withLock { state in
            state.removals[name] = nil
            guard case .success = result else { return }
            state.takenAt[name] = nil
            state.startedAt[name] = nil
        }
        return result
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
        await isolation.close()
        let all = await BlockingThreads.run { [isolation] in isolation.names() }
        // Kept: what somebody took, and what an earlier process left.
        let spares = isolation.spares
        let removed = state.withLock { state in
            keep ? all.filter { spares.contains($0) || state.startedAt[$0] != nil && state.takenAt[$0] == nil } : all
        }
        await removeAll(removed)
        let isEmpty = await BlockingThreads.run { [isolation] in isolation.names().isEmpty }
        if isEmpty { await isolation.tearDown() }
        workQueue.finish()
    }

    /// What an earlier process left and no compute can live in.
    func removeUseless() async {
        await removeAll(await BlockingThreads.run { [isolation] in isolation.useless() })
    }

    /// What no start, no pool and no place answers for: a helper of a process that was killed finished its work only
    /// after the next one had looked, or a removal failed. Removed when seen twice.
    /// - Returns: what was seen for the first time.
    func removeStrays(among suspects: Set<MemberName>) async -> Set<MemberName> {
        // In this order: what is made after the first look is not in it.
        let names = await BlockingThreads.run { [isolation] in Set(isolation.names()).subtracting(isolation.spares) }
        let listed = await BlockingThreads.run { [isolation] in Set(isolation.survey().map(\.member.name)) }
        let strays = state.withLock { state in
            names.subtracting(listed).subtracting(state.starting).subtracting(state.running)
                .subtracting(state.removals.keys)
        }
        for name in strays.intersection(suspects) {
            logger.warning("Removing what was left behind", metadata: ["member": "\(name)"])
        }
        await removeAll(Array(strays.intersection(suspects)))
        return strays.subtracting(suspects)
    }

    /// All at once would be hundreds of helpers on a machine that is starting or stopping.
    private func removeAll(_ names: [MemberName]) async {
        await withTaskGroup(of: Void.self) { group in
            for (index, name) in names.enumerated() {
                if index >= 8 { await group.next() }
                group.addTask {
                    do { try await self.remove(name) } catch {
                        self.logger.error(
                            "A member could not be removed", metadata: ["member": "\(name)", "error": "\(error)"])
                    }
                }
            }
        }
    }
}
