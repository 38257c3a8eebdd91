package import APIContract
package import ComputeCore
package import ComputeDomain
import ComputeRuntime
import EventSourcing
package import Logging

/// What the API does, without HTTP: computes are made, found, extended and ended here and nowhere else.
///
/// ```
///   ComputeService            look up, list, extend, end
///    ├ +Changing              metadata, lifetime, network, ports; pause and resume
///    ├ +Stopping              without its place, with its disk, and a place again
///    ├ +Create                who wins: unique rows, quota, idempotency
///    └ +Start                 a place for the winner: claim, cold start, undo
/// ```
package final class ComputeService: Sendable {
    let ports: APIPorts
    let settings: APISettings
    let logger: Logger
    let tasks = OwnedTasks()
    /// Of creates: before what is put on record; before a member of the pool is claimed, which ends in the former; and
    /// before a place is started.
    let createTurns: GroupTurns
    package let claimTurns: GroupTurns
    let startTurns: GroupTurns
    /// Before a place is made as its record says: one at a time of each compute. So many who wait for the same one are more
    /// than any client means.
    package let settleTurns = Turnstile<ComputeID>(
        .init(places: 1024, placesOfOne: 1, waitingOfOne: 16, waiting: 1024), refusal: .tooManyChanges)
    let secrets: SecretService
    let filesystems: FilesystemService
    let templates: TemplateService
    let pools: PoolKeeper

    package init(ports: APIPorts, settings: APISettings, logger: Logger) {
        self.ports = ports
        self.settings = settings
        self.logger = logger
        createTurns = GroupTurns(settings.createTurns)
        claimTurns = GroupTurns(settings.claimTurns)
        startTurns = GroupTurns(settings.startTurns)
        secrets = SecretService(ports: ports, settings: settings, logger: logger)
        filesystems = FilesystemService(ports: ports, settings: settings, logger: logger)
        templates = TemplateService(ports: ports, settings: settings, logger: logger)
        pools = PoolKeeper(ports: ports, settings: settings, logger: logger)
    }

    /// Creates that this process is at; their places and records are not the sweep's business.
    package var createsInFlight: Set<ComputeID> { tasks.inFlight }

    /// Takes no more creates and waits for those in flight.
    package func close() async { await tasks.close(deadline: settings.drainDeadline) }

    // MARK: - Reading

    /// - Throws: 404 for what is unknown, another group's, or over.
    package func get(_ id: ComputeID, for caller: Caller) async throws(Problem) -> ComputeSummary {
        guard let summary = try await summary(id, in: caller.group), summary.state != .ended else {
            throw .noSuchSandbox(id.rawValue)
        }
        return summary
    }

    package func list(
        _ filter: SummaryFilter, after cursor: String?, limit: Int, for caller: Caller
    ) async throws(Problem) -> SummaryPage {
        do {
            return try await ports.summaries.summaries(
                in: caller.group, matching: filter, after: cursor.map { Cursor(rawValue: $0) }, limit: limit)
        } catch {
            throw problem(error)
        }
    }

    /// The living compute of that name; nil when there is none.
    package func find(_ name: SandboxName, for caller: Caller) async throws(Problem) -> ComputeSummary? {
        let found: ComputeSummary?
        do {
            found = try await ports.summaries.named(name.name, namespace: name.namespace, in: caller.group)
        } catch {
            throw problem(error)
        }
        guard let found, await endReason(of: found) == nil else { return nil }
        return found
    }

    func summary(_ id: ComputeID, in group: GroupID?) async throws(Problem) -> ComputeSummary? {
        do { return try await ports.summaries.summary(id, in: group) } catch { throw problem(error) }
    }

    // MARK: - Changing

    /// Adds to the lifetime: the new end is max(now, old end) + duration, within the maximum.
    package func extend(
        _ id: ComputeID, by duration: Duration, for caller: Caller
    ) async throws(Problem) -> WallTime {
        guard let summary = try await summary(id, in: caller.group) else { throw .noSuchSandbox(id.rawValue) }
        let command = Compute.Command.extend(by: duration, maximum: settings.maximumTimeout, at: ports.clock.now())
        switch try await decide(command, on: id, in: summary.group, metadata: caller.metadata) {
        case .committed(let state), .unchanged(let state):
            switch state {
            case .running(_, _, let expiresAt), .paused(_, _, let expiresAt, _): return expiresAt
            case .absent, .requested, .stopped, .ended: throw .internalError
            }
        case .rejected(let rejection): throw problem(rejection, of: id)
        }
    }

    /// Ends it: first the event, at which its URL stops, then the place. A place that cannot be removed now is the
    /// sweep's.
    package func delete(_ id: ComputeID, for caller: Caller) async throws(Problem) {
        guard let summary = try await summary(id, in: caller.group), summary.state != .ended else {
            throw .noSuchSandbox(id.rawValue)
        }
        guard try await end(summary.id, in: summary.group, .deleted, metadata: caller.metadata) else {
            throw .noSuchSandbox(id.rawValue)
        }
    }

    /// Ends everything that has a place, for a shutdown that leaves nothing. What is stopped stays so. A page at a time, all
    /// of a page at once: one place whose processes do not want to end must not hold up the others.
    package func endAll(_ reason: EndReason) async {
        var last: ComputeID?
        do {
            while true {
                let page = try await ports.summaries.unended(after: last, limit: 8)
                await withDiscardingTaskGroup { group in
                    for summary in page { group.addTask { await self.endOne(of: summary, reason) } }
                }
                guard let id = page.last?.id else { return }
                last = id
            }
        } catch {
            logger.failure("ending all sandboxes failed", error)
        }
    }

    private func endOne(of summary: ComputeSummary, _ reason: EndReason) async {
        do throws(Problem) {
            guard summary.state != .stopped else { return try await settle(summary.id) }
            _ = try await end(summary.id, in: summary.group, reason, metadata: .system)
        } catch {
            logger.failure("a sandbox could not be ended", error, ["compute.id": "\(summary.id)"])
        }
    }

    /// - Returns: false when it had ended already.
    func end(
        _ id: ComputeID, in group: GroupID, _ reason: EndReason, metadata: EventMetadata,
        releases: [UniqueRelease] = []
    ) async throws(Problem) -> Bool {
        switch try await decide(.end(reason), on: id, in: group, metadata: metadata, releases: releases) {
        case .unchanged, .rejected: return false
        case .committed: break
        }
        try await clearUp(id, in: group, reason)
        return true
    }

    /// What is left of it after its end.
    func clearUp(_ id: ComputeID, in group: GroupID, _ reason: EndReason) async throws(Problem) {
        APIMetrics.ended(reason: reason.rawValue)
        logger.info("sandbox ended", metadata: ["compute.id": "\(id)", "reason": "\(reason.rawValue)"])
        // Read after the end: a place that was recorded between look-up and end is found too.
        if let member = try await summary(id, in: group)?.member { await remove(member) }
        await removeDisk(of: id)
    }

    /// Removing is repeated by the sweep when it fails.
    func remove(_ member: MemberName) async {
        do {
            try await ports.runtime.remove(member)
        } catch {
            logger.failure("a place could not be removed", error, ["member": "\(member)"])
        }
    }

    /// Why a compute that is recorded as alive is not any more: its time is up and the reaper has not come yet, or
    /// its place died and the sweep has not. nil: it lives.
    func endReason(of summary: ComputeSummary) async -> EndReason? {
        let isOver = summary.expiresAt.map { $0 <= ports.clock.now() } ?? false
        if summary.state == .stopped { return isOver ? .expired : nil }
        guard summary.state == .running || summary.state == .paused else { return nil }
        // What its time's end does not delete lives on.
        if isOver, summary.lifecycle.onExpiry == .delete { return .expired }
        // A runtime that cannot say now is no proof of a death.
        guard let places = try? await ports.runtime.places() else { return nil }
        return places.contains { $0.member.name == summary.member && $0.isAlive } ? nil : .lost
    }

    // MARK: - Deciding

    enum Decision: Sendable {
        case committed(Compute.State)
        /// It was so already.
        case unchanged(Compute.State)
        case rejected(Compute.Rejection)
    }

    /// Load, decide, append; on a conflict again from the start.
    func decide(
        _ command: Compute.Command, on id: ComputeID, in group: GroupID, metadata: EventMetadata,
        releases: [UniqueRelease] = []
    ) async throws(Problem) -> Decision {
        // Conflicts need somebody else who commits to this one stream; eight in a row are no accident. Those who end at
        // the same moment and share a filesystem all commit to its stream.
        for round in 0..<FilesystemService.rounds {
            let loaded: Loaded<Compute>
            do {
                loaded = try await ports.store.load(Compute.self, .compute(id))
            } catch {
                throw problem(error)
            }
            let state = loaded.state
            let events: [ComputeEvent]
            do { events = try Compute.decide(command, state) } catch { return .rejected(error) }
            guard !events.isEmpty else { return .unchanged(state) }
            let mounted = state.spec?.filesystems ?? []
            guard round < 8 || !mounted.isEmpty else { break }
            var commit = Commit.compute(
                id, in: group, expectedVersion: loaded.version, before: state, events: events,
                metadata: metadata, at: ports.clock.now())
            commit.releases += releases
            // In the same commit, so that nothing is attached to what is over.
            if events.contains(where: { if case .ended = $0 { true } else { false } }) {
                commit.appends += try await filesystems.detaching(id, mounted, in: group)
            }
            if case .committed = try await self.commit(commit) {
                return .committed(events.reduce(state, Compute.evolve))
            }
        }
        throw .unavailable("too many changes at once")
    }

    func commit(_ commit: Commit) async throws(Problem) -> CommitOutcome {
        do {
            return try await ServerTiming.measure(.commit) { () async throws(EventStoreError) in
                try await ports.store.commit(commit)
            }
        } catch {
            throw problem(error)
        }
    }

    /// What cannot be done to a compute as it is.
    func problem(_ rejection: Compute.Rejection, of id: ComputeID) -> Problem {
        switch rejection {
        case .notRunningYet:
            Problem(status: 409, code: .conflict, message: "the sandbox is still being created")
        case .metadataTooLarge:
            .invalid(
                "metadata",
                "metadata would be more than \(CreateSandbox.maxMetadataBytes) bytes of JSON with what is there")
        case .tooManyPorts:
            .invalid("ports", "ports would be more than \(PortAccess.maxPorts) with those that are there")
        case .stopped: Problem(status: 409, code: .conflict, message: "the sandbox is stopped; start it first")
        // Somebody else started it meanwhile.
        case .generationIsPast: .unavailable("too many changes at once")
        case .absent, .ended: .noSuchSandbox(id.rawValue)
        case .alreadyRequested, .alreadyRunning: .internalError
        }
    }

    func problem(_ error: EventStoreError) -> Problem {
        if error.code != .badCursor { logger.failure("the event store failed", error) }
        return Problem(error)
    }
}
