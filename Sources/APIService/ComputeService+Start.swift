import APIContract
import ComputeCore
import ComputeDomain
import ComputeRuntime
import EventSourcing
import Logging
import SidekickProtocol

// A place for a compute. Every path ends in a running compute with a record, or in neither.
extension ComputeService {
    /// The fast path: claim an idle member, then one commit for request and start.
    /// - Returns: nil when the pool has none to give; nothing was recorded then.
    func startFromPool(
        _ id: ComputeID, _ request: CreateSandbox, until deadline: ContinuousClock.Instant, for caller: Caller
    ) async throws(Problem) -> ComputeSummary? {
        try await claimTurns.run(of: caller.group, until: deadline) { () async throws(Problem) in
            let moves = spec(request, granted: granted(request)).quotaMoves(in: caller.group, usual: settings.quotas)
            try await checkQuotas(moves, of: caller.group)
            // Not before its turn: secrets may change while it waits.
            let order = try await claimOrder(id, request, for: caller)
            for _ in 0..<settings.claimAttempts where ContinuousClock.now < deadline {
                let idle = await ServerTiming.measure(.take) { self.takeIdleMember(request, in: caller.group) }
                guard let (member, isOfGroup) = idle else { return nil }
                APIMetrics.placed(from: .pool)
                guard await confine(member, to: request.network, of: id, until: deadline),
                    try await claim(member, order, until: deadline)
                else { continue }
                if isOfGroup { APIMetrics.asked(aPool: true) }
                do throws(Problem) {
                    return try await inTurn(of: caller, until: deadline) { () async throws(Problem) in
                        try await record(id, request, startedIn: Placement(member, order.generation), for: caller)
                    }
                } catch {
                    discard(member.name, of: id)
                    throw error
                }
            }
            return nil
        }
    }

    /// Request and start in one.
    private func record(
        _ id: ComputeID, _ request: CreateSandbox, startedIn place: Placement, for caller: Caller
    ) async throws(Problem) -> ComputeSummary? {
        let now = ports.clock.now()
        let requested = ComputeEvent.requested(spec(request, granted: granted(request)), at: now)
        let started = try decided(.start(place, at: now), Compute.evolve(Compute.initial, requested))
        let commit = Commit.compute(
            id, in: caller.group, expectedVersion: 0, before: Compute.initial, events: [requested] + started,
            quotas: settings.quotas, metadata: caller.metadata, at: now)
        switch try await self.commit(commit) {
        case .committed(let events): return try folded(events, onto: nil)
        case .overLimit(let counter, let limit): throw Problem.quotaExceeded(counter, limit)
        case .versionConflict, .taken, .overtaken: throw Problem.internalError
        }
    }

    /// The slow path: the request is recorded first, which takes the unique rows and attaches the filesystems; then a
    /// place is found for it.
    func requestThenStart(
        _ id: ComputeID, _ request: CreateSandbox, idempotency: UniqueHold? = nil, releases: [UniqueRelease] = [],
        until deadline: ContinuousClock.Instant, for caller: Caller
    ) async -> OwnedTasks.Outcome {
        do throws(Problem) {
            let mounted = try await filesystems.mounted(request, in: caller.group)
            // Without filesystems the only stream is the compute's own, which nobody else commits to.
            for _ in 0..<(mounted.isEmpty ? 1 : FilesystemService.rounds) {
                let outcome = try await inTurn(of: caller, until: deadline) { () async throws(Problem) in
                    try await record(
                        id, request, mounting: mounted, idempotency: idempotency, releases: releases, for: caller)
                }
                switch outcome {
                case .taken(let hold): return .success(.taken(hold))
                case .overLimit(let counter, let limit): return .failure(.quotaExceeded(counter, limit))
                case .versionConflict where !mounted.isEmpty: continue
                case .versionConflict, .overtaken: return .failure(.internalError)
                case .committed(let events):
                    guard let summary = try folded(events, onto: nil) else { return .failure(.internalError) }
                    do throws(Problem) {
                        return .success(
                            .running(try await start(summary, request, mounted, until: deadline, for: caller)))
                    } catch {
                        await undo(id, idempotency: idempotency, for: caller)
                        return .failure(error)
                    }
                }
            }
            return .failure(.unavailable("too many changes at once"))
        } catch {
            return .failure(error)
        }
    }

    /// The request alone.
    private func record(
        _ id: ComputeID, _ request: CreateSandbox, mounting mounted: [ComputeFilesystem], idempotency: UniqueHold?,
        releases: [UniqueRelease], for caller: Caller
    ) async throws(Problem) -> CommitOutcome {
        let now = ports.clock.now()
        let spec = spec(request, mounting: mounted, granted: granted(request))
        var commit = Commit.compute(
            id, in: caller.group, expectedVersion: 0, before: Compute.initial, events: [.requested(spec, at: now)],
            quotas: settings.quotas, idempotency: idempotency, metadata: caller.metadata, at: now)
        commit.releases += releases
        do throws(Problem) {
            commit.appends += try await filesystems.attaching(id, mounted, request, in: caller.group)
        } catch {
            // Who won the same name or key has them already: its compute is what this caller waits for.
            for take in commit.takes {
                guard let hold = try await holder(of: take.key), hold.owner != id.rawValue,
                    !releases.contains(UniqueRelease(key: hold.key, owner: hold.owner))
                else { continue }
                return .taken(hold)
            }
            throw error
        }
        return try await self.commit(commit)
    }

    private func start(
        _ summary: ComputeSummary, _ request: CreateSandbox, _ mounted: [ComputeFilesystem],
        until deadline: ContinuousClock.Instant, for caller: Caller
    ) async throws(Problem) -> ComputeSummary {
        let ready = min(deadline, deadline - settings.createDeadline + settings.coldStartDeadline)
        return try await startTurns.run(of: caller.group, until: ready) { () async throws(Problem) in
            try await startInTurn(summary, request, mounted, ready: ready, until: deadline, for: caller)
        }
    }

    /// - Parameter ready: when a cold start must have a member.
    private func startInTurn(
        _ summary: ComputeSummary, _ request: CreateSandbox, _ mounted: [ComputeFilesystem],
        ready: ContinuousClock.Instant, until deadline: ContinuousClock.Instant, for caller: Caller
    ) async throws(Problem) -> ComputeSummary {
        let order = try await claimOrder(summary.id, request, for: caller)
        for _ in 0..<settings.claimAttempts where ContinuousClock.now < deadline {
            let (member, isOfGroup) = try await member(request, mounted, of: caller.group, deadline: ready)
            guard await confine(member, to: request.network, of: summary.id, until: deadline),
                try await claim(member, order, until: deadline)
            else { continue }
            if isOfGroup { APIMetrics.asked(aPool: true) }
            do throws(Problem) {
                let now = ports.clock.now()
                let state = Compute.State.requested(spec(request, mounting: mounted))
                let commit = Commit.compute(
                    summary.id, in: caller.group, expectedVersion: summary.version, before: state,
                    events: try decided(.start(Placement(member, order.generation), at: now), state),
                    metadata: caller.metadata, at: now)
                switch try await self.commit(commit) {
                case .committed(let events):
                    guard let running = try folded(events, onto: summary) else { throw Problem.internalError }
                    return running
                case .versionConflict:
                    // Only an end can have come between.
                    throw Problem(
                        status: 409, code: .conflict, message: "the sandbox was deleted while it was being created")
                case .taken, .overLimit, .overtaken: throw Problem.internalError
                }
            } catch {
                discard(member.name, of: summary.id)
                throw error
            }
        }
        throw .unavailable("no sandbox could be started", retryAfterSeconds: 2)
    }

    private func member(
        _ request: CreateSandbox, _ mounted: [ComputeFilesystem], of group: GroupID,
        deadline: ContinuousClock.Instant
    ) async throws(Problem) -> (Member, isOfGroup: Bool) {
        if let idle = takeIdleMember(request, in: group) {
            APIMetrics.placed(from: .pool)
            return idle
        }
        if let order = request.idleOrder { pools.missed(request, order, in: group) }
        return (try await freshMember(request.order(mounting: mounted), deadline: deadline), isOfGroup: false)
    }

    func freshMember(_ order: MemberOrder, deadline: ContinuousClock.Instant) async throws(Problem) -> Member {
        do {
            let member = try await ServerTiming.measure(.start) { () async throws(RuntimeError) in
                try await ports.runtime.startMember(order, deadline: deadline)
            }
            APIMetrics.placed(from: .cold)
            return member
        } catch {
            APIMetrics.placed(from: .none)
            logger.failure("a cold start failed", error)
            throw Problem(error)
        }
    }

    /// Whether what is asked for may be waiting somewhere.
    func mayBeIdle(_ request: CreateSandbox, in group: GroupID) -> Bool {
        guard let order = request.idleOrder else { return false }
        return order.isEmpty || pools.keepsSome(for: request, in: group)
    }

    /// Of a pool of its group that keeps just such members, else of the runtime's own.
    private func takeIdleMember(_ request: CreateSandbox, in group: GroupID) -> (Member, isOfGroup: Bool)? {
        guard let order = request.idleOrder else { return nil }
        if let member = pools.take(for: request, order, in: group) { return (member, isOfGroup: true) }
        guard order.isEmpty else { return nil }
        return ports.runtime.takeIdleMember().map { ($0, isOfGroup: false) }
    }

    /// Ends what was requested and could not be started; name, key and quota are free again.
    private func undo(_ id: ComputeID, idempotency: UniqueHold?, for caller: Caller) async {
        let releases = idempotency.map { [UniqueRelease(key: $0.key, owner: $0.owner)] } ?? []
        // Past a cancellation too: an undo that stops half-way is what the sweep would have to find.
        await Task {
            do throws(Problem) {
                _ = try await end(id, in: caller.group, .startFailed, metadata: caller.metadata, releases: releases)
            } catch {
                // The sweep ends it later.
                logger.failure("a failed create could not be undone", error, ["compute.id": "\(id)"])
            }
        }.value
    }

    // MARK: - Claiming

    /// Begins to remove a member that the create took and has no use for. Whoever is in a turn does not wait for that, since
    /// others wait for him; who is told that a create failed waits a little (`OwnedTasks`).
    private func discard(_ member: MemberName, of id: ComputeID) {
        tasks.takeBack(of: id) { await self.remove(member) }
    }

    /// Before the claim, so that nothing of its user ever runs without it.
    /// - Returns: false when that cannot be done, or not in time; the member is removed then.
    func confine(
        _ member: Member, to policy: NetworkPolicy?, of id: ComputeID, until deadline: ContinuousClock.Instant
    ) async -> Bool {
        guard let policy else { return true }
        let runtime = ports.runtime
        let outcome = await withDeadline(deadline) { () async -> Result<Void, RuntimeError> in
            do throws(RuntimeError) {
                return .success(try await runtime.setNetwork(policy, of: member.name))
            } catch {
                return .failure(error)
            }
        }
        do throws(RuntimeError) {
            guard let outcome else { throw RuntimeError(.deadlineExceeded, "the network was not narrowed in time") }
            try outcome.get()
            return true
        } catch {
            logger.failure("a member's network could not be narrowed", error, ["member": "\(member.name)"])
            discard(member.name, of: id)
            return false
        }
    }

    /// - Returns: false when the member is not ours; it is removed then, unless it is somebody else's.
    /// - Throws: what the caller asked for is nothing that a Sidekick can do, in the next member no more than in this.
    func claim(
        _ member: Member, _ order: ClaimOrder, until deadline: ContinuousClock.Instant
    ) async throws(Problem) -> Bool {
        for isLast in [false, true] {
            do throws(SidekickAgentError) {
                try await ServerTiming.measure(.claim) { () async throws(SidekickAgentError) in
                    try await claimInTime(member, order, until: min(deadline, .now + settings.claimTimeout))
                }
                return true
            } catch {
                logger.warning(
                    "a claim failed",
                    metadata: ["member": "\(member.name)", "compute.id": "\(order.computeId)", "error": "\(error)"])
                switch error.code {
                // It may have been taken. The Sidekick answers the same order the same way, so asking again is safe.
                case .noAnswer where !isLast: continue
                case .refused where order.setup != nil && error.field.map(Self.isOfSetup) == true:
                    discard(member.name, of: order.computeId)
                    throw .invalid(error.field ?? "", error.message)
                case .refused where order.secretFiles != nil && error.field == "secretFiles":
                    discard(member.name, of: order.computeId)
                    throw .invalid("secrets", error.message)
                case .refused where order.directory != nil && error.field == "directory":
                    discard(member.name, of: order.computeId)
                    throw .invalid("directory", error.message)
                case .noAnswer, .refused: break
                case .alreadyClaimed:
                    // A compute of another process lives there, or will in a moment: removing it would kill a
                    // stranger. If it is nobody's, the sweep removes it after its grace.
                    return false
                }
            }
            break
        }
        discard(member.name, of: order.computeId)
        return false
    }

    /// Whether it is below `overlays` or `servers`; the rest of an order is ours.
    private static func isOfSetup(_ field: String) -> Bool {
        ["overlays", "servers"].contains { field.hasPrefix($0) }
    }

    private func claimInTime(
        _ member: Member, _ order: ClaimOrder, until deadline: ContinuousClock.Instant
    ) async throws(SidekickAgentError) {
        let sidekicks = ports.sidekicks
        let result = await withTaskGroup(of: Result<Void, SidekickAgentError>.self) { group in
            group.addTask {
                do throws(SidekickAgentError) {
                    try await sidekicks.claim(member.name, at: member.sidekickInternal, order: order)
                    return .success(())
                } catch {
                    return .failure(error)
                }
            }
            group.addTask {
                try? await Task.sleep(until: deadline)
                return .failure(SidekickAgentError(.noAnswer, "no answer in time"))
            }
            let first = await group.next()
            group.cancelAll()
            return first ?? .failure(SidekickAgentError(.noAnswer, "cancelled"))
        }
        try result.get()
    }

    private func claimOrder(
        _ id: ComputeID, _ request: CreateSandbox, for caller: Caller
    ) async throws(Problem) -> ClaimOrder {
        let given = try await secrets.given(request, in: caller.group)
        var order = ClaimOrder(
            computeId: id, generation: .first,
            secret: SidekickSecret.derive(from: ports.sidekickKey, computeID: id, generation: .first),
            env: request.envs.merging(given.env) { _, secret in secret }, directory: request.directory,
            url: settings.urls.url(of: id),
            portURLTemplate: settings.urls.portURLTemplate(of: id), setup: request.setup,
            timeoutMs: (request.timeout ?? settings.defaultTimeout).wholeMilliseconds,
            secretFiles: given.files.isEmpty ? nil : given.files)
        order.secretEnv = given.env.isEmpty ? nil : given.env.keys.sorted()
        return order
    }

    // MARK: - Parts

    /// What is put on record for a create, in its group's turn. Nothing that waits for others belongs in here.
    private func inTurn<T: Sendable>(
        of caller: Caller, until deadline: ContinuousClock.Instant, _ work: () async throws(Problem) -> T
    ) async throws(Problem) -> T {
        try await createTurns.run(of: caller.group, until: deadline, work)
    }

    /// For decisions that nothing can reject.
    private func decided(_ command: Compute.Command, _ state: Compute.State) throws(Problem) -> [ComputeEvent] {
        do {
            return try Compute.decide(command, state)
        } catch {
            logger.failure("a start was rejected", error)
            throw .internalError
        }
    }

    /// The summary after the events of our own commit: what the read model holds now, without asking it.
    private func folded(_ events: [RecordedEvent], onto summary: ComputeSummary?) throws(Problem) -> ComputeSummary? {
        var summary = summary
        do {
            for event in events { summary = try ComputeSummary.applying(event, to: summary) }
        } catch {
            throw problem(error)
        }
        return summary
    }
}

extension CreateSandbox {
    /// What a member that waits has to be like; nil when none will do, since it cannot get mounts any more.
    var idleOrder: MemberOrder? { filesystems.isEmpty ? order(mounting: []) : nil }

    /// What the place has to be like.
    func order(mounting filesystems: [ComputeFilesystem]) -> MemberOrder {
        MemberOrder(
            image: image, resources: resources,
            mounts: filesystems.map {
                VolumeMount(volume: $0.id, path: $0.attachment.path, isReadOnly: $0.attachment.isReadOnly)
            })
    }
}

extension Placement {
    init(_ member: Member, _ generation: Generation) {
        self.init(
            member: member.name, generation: generation, sidekick: member.sidekick,
            sidekickInternal: member.sidekickInternal, portHost: member.portHost)
    }
}
