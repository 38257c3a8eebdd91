package import ComputeCore
package import ComputeRuntime
import Glibc
package import Logging
import Synchronization

/// No isolation: a member is a plain process beside ours, so code in it can read and do whatever our own user can.
/// That is for development only; the composition chooses it when the setting says so, never by default.
final class ProcessIsolation: Isolation {
    /// No `freeze`: stopping every process of a tree is no freezer, since a stopped one is seen by its parent and
    /// can be continued by its siblings.
    let abilities: RuntimeAbilities = .keepDisk
    var description: RuntimeDescription { RuntimeDescription(isolation: "process", abilities: abilities) }

    let members: String
    private let sidekick: String
    private let claimKey: String
    private let logger: Logger
    /// Members whose process was started here and has not ended.
    private let running = Mutex<Set<MemberName>>([])
    /// Held by who gives a kept disk to a member, or takes it away: no two have it.
    private let diskGate = Mutex(())
    private var dataDirectory: String { String(members.dropLast("/members".count)) }

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
        guard order.image == nil, order.resources == nil, order.mounts.isEmpty else {
            throw unsupported("choose an image or a size")
        }
        let directory = try directory(name)
        do {
            let record = MemberRecord(
                member: directory.processMember, process: nil, startedAt: startedAt, disk: order.disk)
            try await BlockingThreads.run { () throws(RuntimeError) in
                try directory.create(record, folders: [directory.state])
            }
            let disk = try await disk(for: directory, order.disk, deadline: deadline)
            try await launch(directory, on: disk, record, deadline: deadline, onEnd: onEnd)
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
        _ directory: MemberDirectory, on disk: ProcessDisk, _ record: MemberRecord, deadline: ContinuousClock.Instant,
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
                    directory, on: disk, executable: sidekick, claimKey: claimKey
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
                var record = record
                record.process = process
                let written = record
                try await BlockingThreads.run { () throws(RuntimeError) in try directory.write(written) }
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
                isAlive: record?.process?.isAlive ?? false, disk: record?.disk)
        }
    }

    func names() -> [MemberName] { Array(Set(MemberDirectory.all(under: members).map(\.name) + abandoned)) }

    /// Files whose member is gone: its removal was cut off.
    private var abandoned: [MemberName] {
        ProcessDisk.unkept(in: dataDirectory).compactMap { name in
            MemberDirectory(members: members, name: MemberName(name)).flatMap {
                access($0.path, F_OK) == 0 ? nil : $0.name
            }
        }
    }

    /// Leftovers whose process is gone, starts that were cut off, and what nobody had taken.
    func useless() -> [MemberName] {
        MemberDirectory.all(under: members).filter { directory in
            !directory.isTaken || !(directory.record()?.process?.isAlive ?? false)
        }.map(\.name) + abandoned
    }

    func remove(_ name: MemberName) async throws(RuntimeError) {
        let directory = try directory(name)
        try await BlockingThreads.run { [dataDirectory] () throws(RuntimeError) in
            try MemberRemoval.remove(directory)
            // Its own: of a kept one another name may be on it.
            guard ProcessDisk.unkept(in: dataDirectory).contains(name.rawValue) else { return }
            try DirectoryRemoval.remove(ProcessDisk(dataDirectory: dataDirectory, name: name.rawValue).path)
        }
    }

    // MARK: - Kept disks

    /// A new one, or the kept one once no other member has it.
    private func disk(
        for directory: MemberDirectory, _ id: ComputeID?, deadline: ContinuousClock.Instant
    ) async throws(RuntimeError) -> ProcessDisk {
        guard let id else {
            let disk = ProcessDisk(dataDirectory: dataDirectory, name: directory.name.rawValue)
            try await BlockingThreads.run { () throws(RuntimeError) in
                try disk.make()
                try disk.give(to: directory)
            }
            return disk
        }
        while true {
            let given = try await BlockingThreads.run { () throws(RuntimeError) in
                try self.diskGate.withLock { _ throws(RuntimeError) -> ProcessDisk? in
                    guard let disk = ProcessDisk.kept(id, in: self.dataDirectory) else {
                        throw RuntimeError(.unavailable, "there is no disk \(id)")
                    }
                    guard self.isFree(disk) else { return nil }
                    try disk.give(to: directory)
                    return disk
                }
            }
            if let given { return given }
            guard ContinuousClock.now < deadline, !Task.isCancelled else {
                throw RuntimeError(.deadlineExceeded, "the disk \(id) is still in use by another member")
            }
            await pause()
        }
    }

    private func isFree(_ disk: ProcessDisk) -> Bool {
        !MemberDirectory.all(under: members).contains { $0.disk == disk }
    }

    func keepDisk(of name: MemberName, as id: ComputeID) async throws(RuntimeError) {
        let directory = try directory(name)
        try await BlockingThreads.run { [dataDirectory] () throws(RuntimeError) in
            guard let disk = directory.disk else {
                guard ProcessDisk.kept(id, in: dataDirectory) != nil else {
                    throw RuntimeError(.unavailable, "there is no member \(name)")
                }
                return
            }
            try disk.keep(as: id)
        }
    }

    func removeDisk(_ id: ComputeID) async throws(RuntimeError) {
        try await BlockingThreads.run { () throws(RuntimeError) in
            try self.diskGate.withLock { _ throws(RuntimeError) in
                guard let disk = ProcessDisk.kept(id, in: self.dataDirectory) else { return }
                guard self.isFree(disk) else { throw RuntimeError(.unavailable, "a member has the disk \(id)") }
                try ProcessDisk.remove(id, in: self.dataDirectory)
            }
        }
    }

    func keptDisks() -> [ComputeID] { ProcessDisk.keptIDs(in: dataDirectory) }

    /// A removal asks first anyway, and the kernel has what was written.
    func quiesce(_ name: MemberName) async {}

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
