package import APIContract
package import ComputeCore
package import ComputeDomain
import ComputeRuntime
import EventSourcing
package import Logging

/// What the API does about filesystems, without HTTP.
///
/// ```
///   create   commit(name, quota) ─► volume made ─► answer          a volume never is without its record
///   delete   commit(nothing attached) ─► answer, volume removed    what is left of it is the sweep's
/// ```
package struct FilesystemService: Sendable, StoreReader {
    let ports: APIPorts
    let settings: APISettings
    let logger: Logger

    /// As many as may end at the same moment and have one filesystem in common; each round lets one of them through.
    static let rounds = 128

    package init(ports: APIPorts, settings: APISettings, logger: Logger) {
        self.ports = ports
        self.settings = settings
        self.logger = logger
    }

    /// - Throws: 409 when the name is taken, or the runtime has no filesystems; 429; 503.
    package func create(_ order: CreateFilesystem, for caller: Caller) async throws(Problem) -> FilesystemSummary {
        guard ports.runtime.abilities.contains(.filesystems) else { throw .noFilesystems }
        let id = FilesystemID.random()
        let spec = FilesystemSpec(name: order.name, sizeMiB: order.sizeMiB)
        switch try await decide(.create(spec), id, caller) {
        case .committed: break
        case .taken: throw .filesystemExists(order.name)
        case .overLimit(let counter, let limit):
            switch counter {
            case .filesystems(in: caller.group): throw .tooManyFilesystems(limit)
            case .filesystemMiB(in: caller.group): throw .filesystemsTooLarge(limit)
            default: throw .quotaExceeded(counter, limit)
            }
        case .overtaken: throw .unauthenticated
        case .versionConflict: throw .internalError
        }
        // Past a cancellation too: a record without a volume would hold the name for nothing.
        let made = await Task { () async -> Result<Void, Problem> in
            do throws(RuntimeError) {
                try await ports.runtime.makeVolume(id, sizeMiB: spec.sizeMiB)
                return .success(())
            } catch {
                logger.failure("a volume could not be made", error, ["filesystem": "\(id)"])
                // When this fails as well, the volume is made when it is mounted for the first time.
                do throws(Problem) { try await delete(id, for: caller) } catch {
                    logger.failure("a filesystem could not be undone", error, ["filesystem": "\(id)"])
                }
                let reason =
                    error.code == .outOfCapacity
                    ? "there is no room for a filesystem of that size at the moment"
                    : "filesystems cannot be made at the moment"
                return .failure(.unavailable(reason, retryAfterSeconds: 5))
            }
        }.value
        try made.get()
        return try await get(id, for: caller)
    }

    package func get(_ id: FilesystemID, for caller: Caller) async throws(Problem) -> FilesystemSummary {
        let found = try await reading { () async throws(EventStoreError) in
            try await ports.filesystems.filesystem(id, in: caller.group)
        }
        guard let found else { throw .noSuchFilesystem(id.rawValue) }
        return found
    }

    package func list(after cursor: String?, limit: Int, for caller: Caller) async throws(Problem) -> FilesystemPage {
        try await reading { () async throws(EventStoreError) in
            try await ports.filesystems.filesystems(
                in: caller.group, after: cursor.map { Cursor(rawValue: $0) }, limit: limit)
        }
    }

    /// With all that is in it.
    /// - Throws: 404; 409 while a compute has it.
    package func delete(_ id: FilesystemID, for caller: Caller) async throws(Problem) {
        // Also what decides whose it is: a stream does not know its group.
        _ = try await get(id, for: caller)
        switch try await decide(.delete, id, caller) {
        case .committed: break
        case .overtaken: throw .unauthenticated
        case .taken, .overLimit, .versionConflict: throw .internalError
        }
        await removeVolume(id)
    }

    // MARK: - Volumes

    /// Removing is repeated by the sweep when it fails: the place of the last compute may be about to let go of it.
    private func removeVolume(_ id: FilesystemID) async {
        do throws(RuntimeError) {
            try await ports.runtime.removeVolume(id)
        } catch {
            logger.failure("a volume could not be removed", error, ["filesystem": "\(id)"])
        }
    }

    /// Volumes of filesystems that were deleted. Only where the log says so: one of which it knows nothing may be that of
    /// a database that was put back, or of another one.
    func removeDeleted() async throws {
        guard ports.runtime.abilities.contains(.filesystems) else { return }
        let volumes = try await ports.runtime.volumes()
        guard !volumes.isEmpty else { return }
        for id in try await ports.filesystems.unknownFilesystems(among: volumes) {
            switch try await ports.store.load(Filesystem.self, .filesystem(id)).state {
            case .deleted: await removeVolume(id)
            case .absent:
                logger.debug("a volume is of no filesystem that is known", metadata: ["filesystem": "\(id)"])
            case .present: break
            }
        }
    }

    // MARK: - Deciding

    /// - Returns: what became of the commit; never a conflict.
    private func decide(
        _ command: Filesystem.Command, _ id: FilesystemID, _ caller: Caller
    ) async throws(Problem) -> CommitOutcome {
        for _ in 0..<Self.rounds {
            let loaded = try await reading { () async throws(EventStoreError) in
                try await ports.store.load(Filesystem.self, .filesystem(id))
            }
            let events: [FilesystemEvent]
            do {
                events = try Filesystem.decide(command, loaded.state)
            } catch {
                switch error {
                case .absent: throw .noSuchFilesystem(id.rawValue)
                case .inUse(let count): throw .filesystemInUse(count)
                case .alreadyThere, .alreadyAttached, .beingWritten: throw .internalError
                }
            }
            let commit = Commit.filesystem(
                id, in: caller.group, expectedVersion: loaded.version, before: loaded.state, events: events,
                limits: settings.filesystemsPerGroup, quotas: settings.quotas, standing: caller.standing,
                metadata: caller.metadata, at: ports.clock.now())
            let outcome = try await reading { () async throws(EventStoreError) in
                try await ports.store.commit(commit)
            }
            if case .versionConflict = outcome { continue }
            return outcome
        }
        throw .unavailable("too many changes at once")
    }
}

extension Problem {
    static let noFilesystems = Problem(
        status: 409, code: .unsupported, message: "this server's runtime has no filesystems")

    static func noSuchFilesystem(_ id: String) -> Problem { .notFound("there is no filesystem \(id.prefix(64))") }

    static func filesystemExists(_ name: String) -> Problem {
        Problem(status: 409, code: .conflict, message: "there is a filesystem \(name)", field: "name")
    }

    static func filesystemInUse(_ count: Int) -> Problem {
        Problem(
            status: 409, code: .conflict,
            message: "the filesystem is attached to \(count) \(count == 1 ? "sandbox" : "sandboxes"); end them first")
    }

    static func tooManyFilesystems(_ limit: Int64) -> Problem {
        Problem.overQuota("the group has \(limit) filesystems, which is the limit")
    }

    static func filesystemsTooLarge(_ limit: Int64) -> Problem {
        Problem.overQuota(
            "the filesystems of the group would be larger than \(limit) MiB in all, which is the limit",
            field: "sizeMiB")
    }
}
