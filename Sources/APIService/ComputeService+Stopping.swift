import APIContract
package import ComputeCore
package import ComputeDomain
import ComputeRuntime
import EventSourcing
import Logging
import SidekickProtocol

// Without its place, with its disk.
//
//   stop     keep the disk ──▶ commit(stopped) ──▶ settle: end the place        at the commit its URL stops
//   start    a place on the disk ──▶ claim ──▶ commit(started, its share)      at the commit its URL goes on
//
// A disk that is kept is no part of any place, so whatever dies or is removed in between leaves it as it is. What a crash
// leaves the sweep settles: a place of a stopped compute ends, and a disk that is of no compute goes.
extension ComputeService {
    /// Everything in it ends; what is on its disk stays.
    /// - Throws: 404; 409 for a runtime that cannot, and while it is being created; 503.
    package func stop(_ id: ComputeID, for caller: Caller) async throws(Problem) -> ComputeSummary {
        let summary = try await stoppable(id, for: caller)
        try await keepDisk(of: summary)
        let stopped = try await decided(.stop(settings.keepLimits, at: ports.clock.now()), on: summary, for: caller)
        try await settle(id)
        return stopped
    }

    /// Before it is recorded as stopped: from the record on nothing else stands between its disk and a crash.
    func keepDisk(of summary: ComputeSummary) async throws(Problem) {
        guard summary.state == .running || summary.state == .paused, let member = summary.member else { return }
        do { try await ports.runtime.keepDisk(of: member, as: summary.id) } catch {
            logger.failure("a disk could not be kept", error, ["compute.id": "\(summary.id)"])
            throw .unavailable("the sandbox cannot be stopped at the moment", retryAfterSeconds: 2)
        }
    }

    /// Runs again, with its id and its URL, the variables and secrets of its create, and the files as they were.
    /// - Throws: 404; 409 for a runtime that cannot, while it is being created or paused, and for a secret that is gone;
    ///   429 when its share of the quotas is another's by now; 503.
    package func start(_ id: ComputeID, for caller: Caller) async throws(Problem) -> ComputeSummary {
        let summary = try await stoppable(id, for: caller)
        switch summary.state {
        case .running: return summary
        case .paused:
            throw Problem(status: 409, code: .conflict, message: "the sandbox is paused; resume it instead")
        case .requested: throw problem(.notRunningYet, of: id)
        case .ended: throw .noSuchSandbox(id.rawValue)
        case .stopped: break
        }
        // Of all who ask at once one starts it.
        let deadline = ContinuousClock.now + settings.createDeadline
        let outcome = await tasks.once(id, until: deadline) {
            do throws(Problem) {
                return .success(.running(try await self.startKept(id, until: deadline, for: caller)))
            } catch {
                return .failure(error)
            }
        }
        guard case .running(let running) = try outcome.get() else { throw .internalError }
        return running
    }

    private func stoppable(_ id: ComputeID, for caller: Caller) async throws(Problem) -> ComputeSummary {
        let summary = try await get(id, for: caller)
        guard ports.runtime.abilities.contains(.keepDisk) else {
            throw Problem(
                status: 409, code: .unsupported,
                message: "this server's runtime cannot stop sandboxes and keep their disks"
            )
        }
        return summary
    }

    // MARK: - Starting

    private func startKept(
        _ id: ComputeID, until deadline: ContinuousClock.Instant, for caller: Caller
    ) async throws(Problem) -> ComputeSummary {
        guard case .stopped(let spec, let last, _) = try await loaded(id).state else {
            return try await get(id, for: caller)
        }
        try await checkQuotas(spec.quotaMoves(in: caller.group, usual: settings.quotas, .place), of: caller.group)
        let order = try await startOrder(id, spec, Generation(last.rawValue + 1), in: caller.group)
        let ready = min(deadline, deadline - settings.createDeadline + settings.coldStartDeadline)
        let running = try await startTurns.run(of: caller.group, until: ready) { () async throws(Problem) in
            try await self.startKept(id, spec, order, ready: ready, until: deadline, for: caller)
        }
        // Changed while nothing of it was running yet.
        if running.network != spec.network { try await settle(id) }
        logger.info(
            "sandbox started again", metadata: ["compute.id": "\(id)", "generation": "\(order.generation.rawValue)"])
        return running
    }

    private func startKept(
        _ id: ComputeID, _ spec: ComputeSpec, _ order: ClaimOrder, ready: ContinuousClock.Instant,
        until deadline: ContinuousClock.Instant, for caller: Caller
    ) async throws(Problem) -> ComputeSummary {
        // Its last place may be on its way out, or another one be there that a start left which a crash cut off; no two have
        // one disk.
        try await settle(id)
        await removePlaces(on: id)
        let network = spec.network.isOpen ? nil : spec.network
        for _ in 0..<settings.claimAttempts where ContinuousClock.now < deadline {
            let member = try await freshMember(spec.order(on: id, ports.runtime.abilities), deadline: ready)
            do throws(Problem) {
                guard await confine(member, to: network, of: id, until: deadline),
                    try await claim(member, order, until: deadline)
                else {
                    // The next one is on the same disk.
                    await remove(member.name)
                    continue
                }
                return try await record(Placement(member, order.generation), of: id, for: caller)
            } catch {
                await remove(member.name)
                // Deleted meanwhile: then nobody else removes it before the sweep.
                if error.status == 404 { await removeDisk(of: id) }
                throw startFailure(error)
            }
        }
        throw .unavailable("the sandbox could not be started", retryAfterSeconds: 2)
    }

    private func record(
        _ placement: Placement, of id: ComputeID, for caller: Caller
    ) async throws(Problem) -> ComputeSummary {
        // Only its own stream; others change its metadata meanwhile, or end it.
        for _ in 0..<8 {
            let loaded = try await loaded(id)
            let events: [ComputeEvent]
            do { events = try Compute.decide(.start(placement, at: ports.clock.now()), loaded.state) } catch {
                throw problem(error, of: id)
            }
            let commit = Commit.compute(
                id, in: caller.group, expectedVersion: loaded.version, before: loaded.state, events: events,
                quotas: settings.quotas, metadata: caller.metadata, at: ports.clock.now())
            switch try await self.commit(commit) {
            case .committed: return try await get(id, for: caller)
            case .overLimit(let counter, let limit): throw .quotaExceeded(counter, limit)
            case .versionConflict: continue
            case .taken, .overtaken: throw .internalError
            }
        }
        throw .unavailable("too many changes at once")
    }

    private func loaded(_ id: ComputeID) async throws(Problem) -> Loaded<Compute> {
        do { return try await ports.store.load(Compute.self, .compute(id)) } catch { throw problem(error) }
    }

    /// Values of variables are in no record: the Sidekick kept them on the disk. Secrets are given anew, as they are now.
    private func startOrder(
        _ id: ComputeID, _ spec: ComputeSpec, _ generation: Generation, in group: GroupID
    ) async throws(Problem) -> ClaimOrder {
        var request = CreateSandbox(timeout: spec.timeout, directory: spec.directory)
        do throws(Problem) {
            for document in spec.secrets { request.secrets.append(try GivenSecret(FieldReader(document))) }
        } catch {
            logger.failure("what is recorded of a sandbox's secrets cannot be read", error, ["compute.id": "\(id)"])
            throw .internalError
        }
        let given: GivenSecrets
        do throws(Problem) { given = try await secrets.given(request, in: group) } catch { throw startFailure(error) }
        var order = ClaimOrder(
            computeId: id, generation: generation,
            secret: SidekickSecret.derive(from: ports.sidekickKey, computeID: id, generation: generation),
            env: given.env, directory: spec.directory, url: settings.urls.url(of: id),
            portURLTemplate: settings.urls.portURLTemplate(of: id), timeoutMs: spec.timeout.wholeMilliseconds,
            secretFiles: given.files.isEmpty ? nil : given.files)
        order.secretEnv = given.env.isEmpty ? nil : given.env.keys.sorted()
        order.goesOn = true
        return order
    }

    /// Nothing in the request is at fault.
    private func startFailure(_ problem: Problem) -> Problem {
        guard problem.status == 400 else { return problem }
        return Problem(status: 409, code: .conflict, message: "the sandbox cannot be started: \(problem.message)")
    }

    private func removePlaces(on id: ComputeID) async {
        guard let places = try? await ports.runtime.places() else { return }
        for place in places where place.disk == id { await remove(place.member.name) }
    }

    /// Repeated by the sweep when it fails.
    func removeDisk(of id: ComputeID) async {
        guard ports.runtime.abilities.contains(.keepDisk) else { return }
        do { try await ports.runtime.removeDisk(id) } catch {
            logger.failure("a disk could not be removed", error, ["compute.id": "\(id)"])
        }
    }
}

extension ComputeSpec {
    /// As large as it was granted, with what it had mounted.
    fileprivate func order(on disk: ComputeID, _ abilities: RuntimeAbilities) -> MemberOrder {
        MemberOrder(
            resources: abilities.contains(.resources) ? granted ?? resources : nil,
            mounts: filesystems.map {
                VolumeMount(volume: $0.id, path: $0.attachment.path, isReadOnly: $0.attachment.isReadOnly)
            }, disk: disk)
    }
}
