import ComputeCore
import ComputeRuntime
import Glibc
import Logging
import Subprocess
import Synchronization

extension ProcessRuntime {
    /// Above this a Sidekick's log starts anew: it is for the last complaint, not for an archive.
    private static let maximumLogBytes = 1 << 20

    package func run() async throws {
        logger.warning(
            "PROCESS ISOLATION IS NO ISOLATION: code in a compute can do whatever this user can. Development only.",
            metadata: ["members": "\(members)"])
        await removeDeadLeftovers()
        step { state in
            state.isRunning = true
            return state.pool.fill()
        }
        await withDiscardingTaskGroup { group in
            group.addTask { await self.boundLogs() }
            for await order in orders {
                group.addTask { await self.perform(order) }
            }
            group.cancelAll()
        }
        state.withLock { $0.isRunning = false }
    }

    private func perform(_ order: WarmPool.Order) async {
        switch order {
        case .start(let id):
            let now = ContinuousClock.now
            do {
                let member = try await startProcess(deadline: now + settings.startDeadline)
                step { state in
                    // It may have ended before the pool knew of it; nobody would notice later.
                    state.running.contains(member.name)
                        ? state.pool.startFinished(id, member)
                        : state.pool.startFailed(id, reason: "the Sidekick ended at once")
                }
            } catch {
                logger.error("A member did not start", metadata: ["error": "\(error)"])
                step { $0.pool.startFailed(id, reason: error.message) }
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

    /// A start that fails or is cancelled leaves nothing.
    private func startProcess(deadline: ContinuousClock.Instant) async throws(RuntimeError) -> Member {
        let name = MemberName.random()
        guard let directory = MemberDirectory(members: members, name: name) else {
            preconditionFailure("a random name is a plain file name")
        }
        let startedAt = clock.now()
        let mayStart = state.withLock { state in
            guard !state.isShutDown else { return false }
            state.starting.insert(name)
            state.startedAt[name] = startedAt
            return true
        }
        guard mayStart else { throw RuntimeError(.unavailable, "the runtime is shutting down") }
        defer { _ = state.withLock { $0.starting.remove(name) } }
        do {
            try await BlockingThreads.run { () throws(RuntimeError) in try directory.create(startedAt: startedAt) }
            try await launch(directory, startedAt: startedAt, deadline: deadline)
            return directory.member
        } catch {
            let log = String(decoding: (readSmallFile(directory.log) ?? []).suffix(500), as: UTF8.self)
            await endStart(of: name)
            throw log.isEmpty ? error : RuntimeError(error.code, "\(error.message); it said: \(log)", cause: error)
        }
    }

    /// Removes what a start that was given up has made so far. Its process may not be there yet when it is looked for
    /// (a child between fork and exec is nobody's), and come a moment later: so again until its task has ended.
    private func endStart(of name: MemberName) async {
        let giveUp = ContinuousClock.now + MemberRemoval.killDeadline
        repeat {
            try? await remove(name)
            guard state.withLock({ $0.running.contains(name) }) else { return }
            await pause()
        } while ContinuousClock.now < giveUp
    }

    private func launch(
        _ directory: MemberDirectory, startedAt: WallTime, deadline: ContinuousClock.Instant
    ) async throws(RuntimeError) {
        // At most three: started, ready, ended.
        let (events, sink) = AsyncStream<Result<MemberProcess.Event, RuntimeError>>.makeStream()
        let name = directory.name
        _ = state.withLock { $0.running.insert(name) }
        // The one task that is nobody's child: it waits for a process that outlives both its starter and `run()`.
        Task { [weak self, settings] in
            do {
                let status = try await MemberProcess.run(
                    directory, executable: settings.sidekick, claimKey: settings.claimKey
                ) { sink.yield(.success($0)) }
                sink.yield(.failure(RuntimeError(.unavailable, "the Sidekick ended before it was ready: \(status)")))
            } catch {
                sink.yield(.failure(RuntimeError(.unavailable, "the Sidekick cannot be started", cause: error)))
            }
            sink.finish()
            self?.processEnded(name)
        }
        let timer = Task {
            try await Task.sleep(until: deadline, clock: .continuous)
            sink.finish()
        }
        defer { timer.cancel() }
        for await event in events {
            switch try event.get() {
            case .started(let process):
                let record = MemberRecord(member: directory.member, process: process, startedAt: startedAt)
                try await BlockingThreads.run { () throws(RuntimeError) in try directory.write(record) }
            case .ready:
                return
            }
        }
        throw RuntimeError(.deadlineExceeded, "the Sidekick was not ready in time")
    }

    private func processEnded(_ name: MemberName) {
        let now = clock.now()
        step { state in
            state.running.remove(name)
            guard state.pool.isIdle(name) else { return [] }
            return state.pool.idleMemberDied(name, age: now - (state.startedAt[name] ?? now))
        }
    }

    private func boundLogs() async {
        while (try? await Task.sleep(for: .seconds(5))) != nil {
            await BlockingThreads.run { [members] in
                for directory in MemberDirectory.all(under: members) { directory.boundLog(to: Self.maximumLogBytes) }
            }
        }
    }
}
