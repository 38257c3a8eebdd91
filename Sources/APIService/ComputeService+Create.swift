package import APIContract
package import ComputeCore
package import ComputeDomain
import ComputeRuntime
import EventSourcing

// Who gets to create. The log decides: a commit takes the name, the key and the share of the quota or fails, so
// racing requests, replicas and restarts need no lock.
//
//   anonymous ── idle member ──▶ claim ──▶ commit(requested + started) ──▶ done
//       │ none                                   └ failed: the member is removed
//       ▼
//   named, keyed ──▶ commit(requested, takes) ──▶ place ──▶ commit(started) ──▶ done
//                        └ taken: wait for the winner       └ failed: ended(startFailed), member removed
extension ComputeService {
    /// - Parameter retry: makes a repeat of the request get the same compute.
    /// - Throws: 403 for secrets and filesystems that the caller may not give away; 409 when the name is another's, the
    ///   key was used for something else, or a filesystem is in use; 429; 503.
    package func create(
        _ request: CreateSandbox, retry: RetryKey? = nil, for caller: Caller
    ) async throws(Problem) -> ComputeSummary {
        let deadline = ContinuousClock.now + settings.createDeadline
        try check(request, of: caller)
        guard request.name != nil || retry != nil else {
            return try await createAnonymous(request, until: deadline, for: caller)
        }
        return try await createUnique(request, retry: retry, finding: false, until: deadline, for: caller)
    }

    /// The living compute of that name, or a new one; of racing calls one creates and all get the same. It is
    /// repeatable by its name and needs no `Idempotency-Key`.
    package func findOrCreate(_ request: CreateSandbox, for caller: Caller) async throws(Problem) -> ComputeSummary {
        let deadline = ContinuousClock.now + settings.createDeadline
        try check(request, of: caller)
        return try await createUnique(request, retry: nil, finding: true, until: deadline, for: caller)
    }

    /// What a request says itself, and once more what comes of it and a template.
    private func check(_ request: CreateSandbox, of caller: Caller) throws(Problem) {
        try ServerOffer(ports, settings).check(request)
        try check(request.lifecycle.onExpiry, request.lifecycle.deleteAfterStopped)
        try checkTemplate(request, of: caller)
        try caller.authority.check(usesSecrets: !request.secrets.isEmpty, usesFilesystems: !request.filesystems.isEmpty)
    }

    /// The request with what it takes of its template. Asked for by whoever is about to create, and by nobody who finds
    /// what is there: that stays what it is, whatever became of the template.
    /// - Throws: 400 for a template that the group does not have, and for what does not fit any more; as `check`.
    private func resolved(_ request: CreateSandbox, for caller: Caller) async throws(Problem) -> CreateSandbox {
        guard let use = request.template else { return request }
        let found = try await templates.used(use, in: caller.group)
        let made = try request.made(from: found.used, saying: found.defaults)
        try check(made, of: caller)
        return made
    }

    /// Whoever makes a compute reads what the template gives it.
    private func checkTemplate(_ request: CreateSandbox, of caller: Caller) throws(Problem) {
        if request.template != nil { try caller.authority.checkUsesTemplates() }
    }

    private func createUnique(
        _ request: CreateSandbox, retry: RetryKey?, finding: Bool, until deadline: ContinuousClock.Instant,
        for caller: Caller
    ) async throws(Problem) -> ComputeSummary {
        let idempotencyKey = retry.map { UniqueKey.idempotency($0.key, in: caller.group) }
        let nameKey = request.name.map { UniqueKey.name($0.name, namespace: $0.namespace, in: caller.group) }
        // A round is lost only to another create that won and ended again meanwhile.
        for _ in 0..<8 {
            var stale: [UniqueRelease] = []
            if let retry, let idempotencyKey, let hold = try await holder(of: idempotencyKey) {
                if let compute = try await repeated(hold, retry, until: deadline, for: caller) { return compute }
                stale.append(UniqueRelease(key: hold.key, owner: hold.owner))
            }
            if let nameKey, let hold = try await holder(of: nameKey) {
                switch try await standing(of: hold, waiting: finding, until: deadline, for: caller) {
                case .alive(let compute):
                    if finding { return compute }
                    throw nameTaken(request.name)
                case .underWay: throw nameTaken(request.name)
                case .gone: stale.append(UniqueRelease(key: hold.key, owner: hold.owner))
                }
            }
            let made = try await resolved(request, for: caller)
            // Refused before anything is recorded; what the compute gets is read again at the claim.
            _ = try await secrets.given(made, in: caller.group)
            let id = ComputeID.random()
            let hold = idempotencyKey.map { UniqueHold(key: $0, owner: id.rawValue, fingerprint: retry?.fingerprint) }
            let releases = stale
            let outcome = await tasks.create(id) {
                await self.requestThenStart(
                    id, made, idempotency: hold, releases: releases, until: deadline, for: caller)
            }
            if case .running(let compute) = try outcome.get() { return compute }
        }
        throw .unavailable("too many requests for the same name or key")
    }

    /// The compute that an earlier request with the same key made; nil when the key is free again.
    private func repeated(
        _ hold: UniqueHold, _ retry: RetryKey, until deadline: ContinuousClock.Instant, for caller: Caller
    ) async throws(Problem) -> ComputeSummary? {
        guard hold.fingerprint == retry.fingerprint else {
            throw Problem(
                status: 409, code: .conflict, message: "this \(RetryKey.header) was used for another request",
                field: RetryKey.header)
        }
        switch try await standing(of: hold, waiting: true, until: deadline, for: caller) {
        case .alive(let compute): return compute
        case .underWay: throw .unavailable("the sandbox is still being created")
        case .gone(let summary):
            guard let summary, summary.endReason != .startFailed,
                ports.clock.now() < summary.createdAt + RetryKey.holdTime
            else { return nil }
            throw Problem(
                status: 409, code: .conflict, message: "the sandbox that this \(RetryKey.header) created has ended",
                field: RetryKey.header)
        }
    }

    private enum Standing {
        case alive(ComputeSummary)
        /// Being created; only when the caller does not want to wait.
        case underWay
        case gone(ComputeSummary?)
    }

    /// What has become of the holder. One that is dead without anybody having noticed is ended here.
    private func standing(
        of hold: UniqueHold, waiting: Bool, until deadline: ContinuousClock.Instant, for caller: Caller
    ) async throws(Problem) -> Standing {
        guard let id = ComputeID(hold.owner) else { return .gone(nil) }
        while true {
            if waiting, let outcome = await tasks.outcome(of: id, until: deadline) {
                // Its failure is ours as well: trying again at once would fail a hundred times in a row.
                if case .running(let compute) = try outcome.get() { return .alive(compute) }
            }
            guard let summary = try await summary(id, in: caller.group) else { return .gone(nil) }
            switch summary.state {
            case .ended: return .gone(summary)
            case .running, .paused, .stopped:
                guard let reason = await endReason(of: summary) else { return .alive(summary) }
                _ = try await end(id, in: summary.group, reason, metadata: .system)
                return .gone(try await self.summary(id, in: caller.group))
            case .requested:
                guard waiting else { return .underWay }
                guard ContinuousClock.now < deadline else {
                    throw .unavailable("the sandbox is still being created", retryAfterSeconds: 2)
                }
                // Another process is at it, and its commit wakes nobody here by id. Ten looks a second, for at most
                // the deadline.
                do { try await Task.sleep(for: .milliseconds(100)) } catch { throw .unavailable("cancelled") }
            }
        }
    }

    // MARK: - Without a name

    private func createAnonymous(
        _ wanted: CreateSandbox, until deadline: ContinuousClock.Instant, for caller: Caller
    ) async throws(Problem) -> ComputeSummary {
        let request = try await resolved(wanted, for: caller)
        let id = ComputeID.random()
        let outcome = await tasks.create(id) {
            do throws(Problem) {
                _ = try await self.secrets.given(request, in: caller.group)
                if self.mayBeIdle(request, in: caller.group),
                    let compute = try await self.startFromPool(id, request, until: deadline, for: caller)
                {
                    return .success(.running(compute))
                }
            } catch {
                return .failure(error)
            }
            return await self.requestThenStart(id, request, until: deadline, for: caller)
        }
        guard case .running(let compute) = try outcome.get() else { throw .internalError }
        return compute
    }

    /// The commit is what enforces quotas; this look before it keeps a caller who is over one from burning through the
    /// pool, one destroyed member per refused request.
    func checkQuotas(_ moves: [CounterMove], of group: GroupID) async throws(Problem) {
        let counters: [String: CounterState]
        do { counters = try await ports.store.counters(in: group) } catch { throw problem(error) }
        let now = ports.clock.now()
        for move in moves {
            let state = counters[move.counter.name] ?? CounterState()
            guard move.applied(to: state, at: now) == nil else { continue }
            throw .quotaExceeded(move.counter, move.limit(of: state) ?? .max)
        }
    }

    // MARK: - Parts

    /// How large it will be.
    func granted(_ request: CreateSandbox) -> ComputeResources? {
        let usual = ports.runtime.describe().defaultResources
        return request.resources.map { $0.over(usual ?? ComputeResources()) } ?? usual
    }

    func holder(of key: UniqueKey) async throws(Problem) -> UniqueHold? {
        do { return try await ports.store.holder(of: key) } catch { throw problem(error) }
    }

    func spec(
        _ request: CreateSandbox, mounting filesystems: [ComputeFilesystem] = [], granted: ComputeResources? = nil
    ) -> ComputeSpec {
        var spec = ComputeSpec(
            name: request.name?.name, namespace: request.name?.namespace,
            timeout: request.timeout ?? settings.defaultTimeout, metadata: request.metadata ?? [:],
            envNames: request.envs.keys.sorted(), directory: request.directory, image: request.image,
            resources: request.resources)
        spec.secretNames = Set(request.secrets.map(\.name.rawValue)).sorted()
        spec.secrets = request.secrets.map(\.document)
        spec.lifecycle = request.lifecycle
        spec.filesystems = filesystems
        spec.network = request.network ?? .open
        spec.ports = request.ports ?? .open
        spec.granted = granted
        spec.template = request.usedTemplate
        return spec
    }

    private func nameTaken(_ name: SandboxName?) -> Problem {
        Problem(
            status: 409, code: .conflict,
            message: "a sandbox named \(name?.name ?? "") exists in the namespace \(name?.namespace ?? "")",
            field: "name")
    }
}
