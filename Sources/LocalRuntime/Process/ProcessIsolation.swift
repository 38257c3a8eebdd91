package import ComputeCore
package import ComputeRuntime
package import Logging
import Synchronization

/// No isolation: a member is a plain process beside ours, so code in it can read and do whatever our own user can.
/// That is for development only; the composition chooses it when the setting says so, never by default.
final class ProcessIsolation: Isolation {
    /// No `freeze`: stopping every process of a tree is no freezer, since a stopped one is seen by its parent and
    /// can be continued by its siblings.
    let abilities: RuntimeAbilities = []
    var description: RuntimeDescription { RuntimeDescription(isolation: "process", abilities: abilities) }

    let members: String
    private let sidekick: String
    private let claimKey: String
    private let logger: Logger
    /// Members whose process was started here and has not ended.
    private let running = Mutex<Set<MemberName>>([])

    /// - Throws: when the sidekick is none, or the path is too long for sockets.
    init(members: String, sidekick: String, claimKey: String, logger: Logger) throws(RuntimeError) {
        self.members = members
        self.sidekick = sidekick
        self.claimKey = claimKey
        self.logger = logger
        try MemberDirectory.checkSocketPaths(under: members)
        try requireExecutable(sidekick)
    }

    func prepare() async throws(RuntimeError) {
        logger.warning(
            "PROCESS ISOLATION IS NO ISOLATION: code in a compute can do whatever this user can. Development only.",
            metadata: ["members": "\(members)"])
    }

    // MARK: Starting

    func start(
        _ name: MemberName, _ order: MemberOrder, startedAt: WallTime, deadline: ContinuousClock.Instant,
        onEnd: @escaping @Sendable () -> Void
    ) async throws(RuntimeError) -> Member {
        guard order.isEmpty else { throw unsupported("choose an image or a size") }
        let directory = try directory(name)
        do {
            let record = MemberRecord(member: directory.processMember, process: nil, startedAt: startedAt)
            try await BlockingThreads.run { () throws(RuntimeError) in
                try directory.create(record, folders: [directory.state, directory.home])
            }
            try await launch(directory, startedAt: startedAt, deadline: deadline, onEnd: onEnd)
            return directory.processMember
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
            guard running.withLock({ $0.contains(name) }) else { return }
            await pause()
        } while ContinuousClock.now < giveUp
    }

    private func launch(
        _ directory: MemberDirectory, startedAt: WallTime, deadline: ContinuousClock.Instant,
        onEnd: @escaping @Sendable () -> Void
    ) async throws(RuntimeError) {
        // At most three: started, ready, ended.
        let (events, sink) = AsyncStream<Result<MemberProcess.Event, RuntimeError>>.makeStream()
        let name = directory.name
        _ = running.withLock { $0.insert(name) }
        // The one task that is nobody's child: it waits for a process that outlives both its starter and `run()`.
        Task { [sidekick, claimKey] in
            do {
                let status = try await MemberProcess.run(
                    directory, executable: sidekick, claimKey: claimKey
                ) { sink.yield(.success($0)) }
                sink.yield(.failure(RuntimeError(.unavailable, "the Sidekick ended before it was ready: \(status)")))
            } catch {
                sink.yield(.failure(RuntimeError(.unavailable, "the Sidekick cannot be started", cause: error)))
            }
            sink.finish()
            _ = self.running.withLock { $0.remove(name) }
            onEnd()
        }
        let timer = Task {
            try await Task.sleep(until: deadline, clock: .continuous)
            sink.finish()
        }
        defer { timer.cancel() }
        for await event in events {
            switch try event.get() {
            case .started(let process):
                let record = MemberRecord(member: directory.processMember, process: process, startedAt: startedAt)
                try await BlockingThreads.run { () throws(RuntimeError) in try directory.write(record) }
            case .ready:
                return
            }
        }
        throw RuntimeError(.deadlineExceeded, "the Sidekick was not ready in time")
    }

    // MARK: The rest of its life

    func take(_ name: MemberName) throws(RuntimeError) { try directory(name).markTaken() }

    func freeze(_ name: MemberName) throws(RuntimeError) { throw unsupported("freeze a compute") }
    func thaw(_ name: MemberName) throws(RuntimeError) { throw unsupported("freeze a compute") }

    func survey() -> [Survey] {
        MemberDirectory.all(under: members).map { directory in
            let record = directory.record()
            return Survey(
                member: directory.processMember, process: record?.process,
                startedAt: record?.startedAt ?? WallTime(milliseconds: 0),
                isAlive: record?.process?.isAlive ?? false)
        }
    }

    func names() -> [MemberName] { MemberDirectory.all(under: members).map(\.name) }

    /// Leftovers whose process is gone, starts that were cut off, and what nobody had taken.
    func useless() -> [MemberName] {
        MemberDirectory.all(under: members).filter { directory in
            !directory.isTaken || !(directory.record()?.process?.isAlive ?? false)
        }.map(\.name)
    }

    func remove(_ name: MemberName) async throws(RuntimeError) {
        let directory = try directory(name)
        try await BlockingThreads.run { () throws(RuntimeError) in try MemberRemoval.remove(directory) }
    }

    func tearDown() async {}

    private func directory(_ name: MemberName) throws(RuntimeError) -> MemberDirectory {
        guard let directory = MemberDirectory(members: members, name: name) else {
            throw RuntimeError(.unavailable, "\(name) is no member's name")
        }
        return directory
    }

    private func unsupported(_ what: String) -> RuntimeError {
        RuntimeError(.unsupported, "process isolation cannot \(what)")
    }
}

extension MachineRuntime {
    /// Members without isolation, as processes of our own user.
    /// - Throws: when the data directory cannot be made or its path is too long for sockets.
    package static func process(
        _ settings: Settings, logger: Logger, clock: any WallClock = SystemWallClock()
    ) throws(RuntimeError) -> MachineRuntime {
        try MachineRuntime(
            settings: settings,
            isolation: ProcessIsolation(
                members: settings.members, sidekick: settings.sidekick, claimKey: settings.claimKey, logger: logger),
            logger: logger, clock: clock)
    }
}
