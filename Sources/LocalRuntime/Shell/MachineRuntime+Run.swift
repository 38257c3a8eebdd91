import ComputeCore
import ComputeRuntime
import Glibc
import Logging
import Synchronization

extension MachineRuntime {
    /// Above this a Sidekick's log starts anew: it is for the last complaint, not for an archive.
    private static let maximumLogBytes = 1 << 20

    package func run() async throws {
        await removeUseless()
        try await isolation.prepare()
        step { state in
            state.isRunning = true
            return state.pool.fill()
        }
        await withDiscardingTaskGroup { group in
            group.addTask { await self.lookAfter() }
            group.addTask { await self.isolation.lookAfter() }
            for await item in work {
                group.addTask {
                    switch item {
                    case .obey(let order): await self.perform(order)
                    case .freeze(let name): await self.freezeIdle(name)
                    }
                }
            }
            group.cancelAll()
        }
        state.withLock { $0.isRunning = false }
    }

    private func perform(_ order: PoolSet.Order) async {
        switch order {
        case .start(let id, let made):
            let begin = ContinuousClock.now
            do {
                try check(made)
                let deadline = begin + settings.startDeadline
                // Room that is made for somebody is his at once: by the next try another start would have taken it.
                let isWaitedFor = state.withLock { $0.pool.isWaitedFor(id) }
                let member =
                    isWaitedFor
                    ? try await startWithRoom(made, deadline: deadline) : try await start(made, deadline: deadline)
                try await warmUp(member, of: id)
                let time = ContinuousClock.now - begin
                step { state in
                    state.starting.remove(member.name)
                    // It may have ended before the pool knew of it; nobody would notice later.
                    return state.running.contains(member.name)
                        ? state.pool.startFinished(id, member, after: time)
                        : state.pool.startFailed(id, RuntimeError(.unavailable, "the Sidekick ended at once"))
                }
                workQueue.yield(.freeze(member.name))
            } catch {
                // A stop cuts off what is under way; that is no failure.
                if !Task.isCancelled { logger.error("A member did not start", metadata: ["error": "\(error)"]) }
                step { $0.pool.startFailed(id, error) }
            }
        case .remove(let name):
            do { try await remove(name) } catch {
                logger.error("A member could not be removed", metadata: ["member": "\(name)", "error": "\(error)"])
            }
        case .scheduleRetry(let id, let delay):
            try? await Task.sleep(for: delay)
            step { $0.pool.retryDue(id) }
        case .give, .fail:
            preconditionFailure("step answers waiters itself")
        }
    }

    // MARK: Starting

    /// A start that fails or is cancelled leaves nothing. One that succeeds counts as under way until its caller says whose
    /// the member is: in between it would look like a leftover, and by the time that somebody removes those it may be a
    /// create's.
    private func start(
        _ order: MemberOrder, deadline: ContinuousClock.Instant
    ) async throws(RuntimeError) -> Member {
        let name = isolation.nextName(order)
        let startedAt = clock.now()
        let mayStart = state.withLock { state in
            guard !state.isShutDown else { return false }
            state.starting.insert(name)
            state.running.insert(name)
            state.startedAt[name] = startedAt
            return true
        }
        guard mayStart else { throw RuntimeError(.unavailable, "the runtime is shutting down") }
        do {
            return try await isolation.start(name, order, startedAt: startedAt, deadline: deadline) { [weak self] in
                self?.memberEnded(name)
            }
        } catch {
            // What cannot be removed now is a stray, and found again.
            try? await remove(name)
            state.withLock { state in
                state.starting.remove(name)
                state.running.remove(name)
                state.startedAt[name] = nil
            }
            throw error
        }
    }

    /// In the caller's task, beside the pool.
    func startToOrder(
        _ order: MemberOrder, deadline: ContinuousClock.Instant
    ) async throws(RuntimeError) -> Member {
        try check(order)
        guard state.withLock({ $0.isRunning && !$0.isShutDown }) else {
            throw RuntimeError(.unavailable, "the runtime is not running")
        }
        return try await gate.pass(deadline: deadline) { () async throws(RuntimeError) in
            let member = try await startWithRoom(order, deadline: deadline)
            let now = clock.now()
            state.withLock { state in
                state.takenAt[member.name] = now
                state.starting.remove(member.name)
            }
            do throws(RuntimeError) { try isolation.take(member.name) } catch {
                try? await remove(member.name)
                throw error
            }
            return member
        }
    }

    /// What waits for groups makes room for what somebody asked for.
    private func startWithRoom(
        _ order: MemberOrder, deadline: ContinuousClock.Instant
    ) async throws(RuntimeError) -> Member {
        // What was freed may be another start's by then; two more times are no accident.
        for _ in 0..<3 {
            do throws(RuntimeError) { return try await start(order, deadline: deadline) } catch {
                guard error.code == .outOfCapacity, await makeRoom() else { throw error }
            }
        }
        return try await start(order, deadline: deadline)
    }

    /// - Returns: whether anything went.
    private func makeRoom() async -> Bool {
        var name: MemberName?
        step { state in
            let (idle, orders) = state.pool.makeRoom()
            name = idle
            return orders
        }
        guard let name else { return false }
        // What `run()` does anyway, here waited for. One that stays is found and told of there.
        try? await remove(name)
        return true
    }

    /// Whether it is an order that can be followed here.
    private func check(_ order: MemberOrder) throws(RuntimeError) {
        let name = isolation.description.isolation
        guard order.resources == nil || abilities.contains(.resources) else {
            throw RuntimeError(.unsupported, "\(name) isolation has computes of one size")
        }
        guard order.image == nil || abilities.contains(.images) else {
            throw RuntimeError(.unsupported, "\(name) isolation has no images")
        }
        guard order.mounts.isEmpty || abilities.contains(.filesystems) else {
            throw RuntimeError(.unsupported, "\(name) isolation has no filesystems")
        }
        guard order.disk == nil || abilities.contains(.keepDisk) else {
            throw RuntimeError(.unsupported, "\(name) isolation keeps no disks")
        }
    }

    /// Whoever waits warms it up himself, by using it.
    private func warmUp(_ member: Member, of id: PoolSet.StartID) async throws(RuntimeError) {
        guard state.withLock({ !$0.pool.isWaitedFor(id) }) else { return }
        do {
            try await settings.warmUp(member)
        } catch {
            try? await remove(member.name)
            _ = state.withLock { $0.starting.remove(member.name) }
            throw RuntimeError(.unavailable, "\(member.name) is not fit for use: \(error)")
        }
    }

    private func memberEnded(_ name: MemberName) {
        let now = clock.now()
        step { state in
            state.running.remove(name)
            guard state.pool.isIdle(name) else { return [] }
            return state.pool.idleMemberDied(name, age: now - (state.startedAt[name] ?? now))
        }
    }

    // MARK: Idle members

    /// An idle member may be taken while it is being frozen. Its taker thaws it, and so does this afterwards: whoever
    /// comes last leaves it running.
    private func freezeIdle(_ name: MemberName) async {
        guard abilities.contains(.freeze), state.withLock({ $0.pool.isIdle(name) }) else { return }
        await BlockingThreads.run { [isolation, logger] in
            do { try isolation.freeze(name) } catch {
                logger.warning("A member cannot be frozen", metadata: ["member": "\(name)", "error": "\(error)"])
            }
            if !self.state.withLock({ $0.pool.isIdle(name) }) { try? isolation.thaw(name) }
        }
    }

    /// Every few seconds: logs that grow, and strays.
    private func lookAfter() async {
        var suspects: Set<MemberName> = []
        while (try? await Task.sleep(for: .seconds(5))) != nil {
            suspects = await removeStrays(among: suspects)
            await BlockingThreads.run { [settings] in
                for directory in MemberDirectory.all(under: settings.members) {
                    directory.boundLog(to: Self.maximumLogBytes)
                }
            }
        }
    }
}

/// Also pauses in a cancelled task, which is where a shutdown runs.
func pause() async { await Task.detached { try? await Task.sleep(for: .milliseconds(5)) }.value }

func requireExecutable(_ sidekick: String) throws(RuntimeError) {
    guard access(sidekick, X_OK) == 0 else { throw .system("cannot execute the sidekick at \(sidekick)") }
}
