package import APIContract
package import ComputeCore
package import ComputeDomain
import ComputeRuntime
import Logging

// What may become different about a compute that lives.
//
//   pause    commit(paused) ──▶ settle: freeze       at the commit its URL stops
//   resume   wake ──▶ commit(resumed) ──▶ settle     at the commit its URL goes on, and somebody is there
//   network  commit(changed) ──▶ settle: rules       in force before the change is answered
//
// One at a time touches a place, in this process, and reads the record once it is his turn: what somebody read before a
// change is not what he does to the place after it was answered. He looks at the record again afterwards, and once more
// until both say the same. So however pauses, resumes and the sweep overtake each other, also in other processes, the last
// one to touch the place leaves it as the record says; what a crash leaves between commit and place, the sweep settles.
extension ComputeService {
    /// Metadata, lifetime and what follows it, network and ports, in one commit.
    /// - Throws: 404; 400 when metadata or ports would become too many; 409 while it is being created, and for a network where
    ///   the runtime has one for all; 503 when the network could not be changed now.
    package func change(
        _ id: ComputeID, _ order: ChangeSandbox, for caller: Caller
    ) async throws(Problem) -> ComputeSummary {
        let summary = try await get(id, for: caller)
        if order.network?.isOpen == false, !ports.runtime.abilities.contains(.network) {
            throw Problem(
                status: 409, code: .unsupported, message: "this server's runtime has one network for all sandboxes",
                field: "network")
        }
        let change = ComputeChange(
            metadata: order.metadata, maximumMetadataBytes: CreateSandbox.maxMetadataBytes,
            timeout: order.timeout.map { min($0, settings.maximumTimeout) }, network: order.network,
            ports: order.ports, onExpiry: order.lifecycle?.onExpiry,
            deleteAfterStopped: order.lifecycle?.deleteAfterStopped, keepLimits: settings.keepLimits)
        if let lifecycle = order.lifecycle { try check(lifecycle.onExpiry, lifecycle.deleteAfterStopped) }
        let changed = try await decided(.change(change, at: ports.clock.now()), on: summary, for: caller)
        // Also when it was so already: who repeats a change that was answered with a 503 wants to hear that it is in force.
        if order.network != nil { try await settle(id) }
        return changed
    }

    /// Memory and disk stay, nothing runs; the lifetime goes on.
    /// - Throws: 404; 409 for a runtime that cannot, and while it is being created; 503.
    package func pause(_ id: ComputeID, for caller: Caller) async throws(Problem) -> ComputeSummary {
        let summary = try await freezable(id, for: caller)
        let paused = try await decided(.pause, on: summary, for: caller)
        try await settle(id)
        return paused
    }

    /// It goes on where it stood.
    /// - Throws: as `pause`.
    package func resume(_ id: ComputeID, for caller: Caller) async throws(Problem) -> ComputeSummary {
        let summary = try await freezable(id, for: caller)
        if summary.state == .paused { try await wake(id) }
        do throws(Problem) {
            let running = try await decided(.resume(at: ports.clock.now()), on: summary, for: caller)
            try await settle(id)
            return running
        } catch {
            // Thawed for nothing, perhaps. The sweep settles what this cannot.
            try? await settle(id)
            throw error
        }
    }

    /// Makes the place as the record says.
    /// - Throws: 503 when that was not possible now.
    func settle(_ id: ComputeID) async throws(Problem) {
        try await alone(with: id) { () async throws(Problem) in try await settleInTurn(id) }
    }

    private func settleInTurn(_ id: ComputeID) async throws(Problem) {
        var record = try await summary(id, in: nil)
        // Rounds are lost only to others who change the same compute.
        for _ in 0..<8 {
            guard let now = record, let member = now.member, now.state != .requested, now.state != .ended else {
                return
            }
            do throws(RuntimeError) { try await make(member, as: now) } catch { throw unsettled(error, id) }
            record = try await summary(id, in: nil)
            if record?.state == now.state, record?.network == now.network, record?.member == member { return }
        }
        throw .unavailable("too many changes at once")
    }

    // MARK: - Parts

    /// What stands before it takes milliseconds. Where it hangs, whoever waits hears so well before clients give up.
    private static let patience: Duration = .seconds(10)

    private func alone(
        with id: ComputeID, _ work: () async throws(Problem) -> Void
    ) async throws(Problem) {
        try await settleTurns.run(of: id, until: .now + Self.patience, work)
    }

    /// Before the record says that it runs. With its network: a change of that may have been answered with a 503 while
    /// nothing ran that could have used the old one.
    private func wake(_ id: ComputeID) async throws(Problem) {
        try await alone(with: id) { () async throws(Problem) in
            guard var record = try await summary(id, in: nil), record.state == .paused, let member = record.member
            else { return }
            record.state = .running
            do throws(RuntimeError) { try await make(member, as: record) } catch { throw unsettled(error, id) }
        }
    }

    /// The network first, so that nothing runs beside it.
    private func make(_ member: MemberName, as record: ComputeSummary) async throws(RuntimeError) {
        let runtime = ports.runtime
        if record.state == .stopped { return try await runtime.stop(member) }
        if runtime.abilities.contains(.network) { try await runtime.setNetwork(record.network, of: member) }
        guard runtime.abilities.contains(.freeze) else { return }
        if record.state == .paused { try await runtime.freeze(member) } else { try await runtime.thaw(member) }
    }

    /// What is asked for and can never be had is refused.
    func check(_ onExpiry: ComputeLifecycle.Expiry?, _ deleteAfterStopped: Duration?) throws(Problem) {
        let needed: RuntimeAbilities =
            switch onExpiry {
            case .stop: .keepDisk
            case .pause: .freeze
            case .delete, nil: []
            }
        guard ports.runtime.abilities.isSuperset(of: needed) else {
            let word = onExpiry?.rawValue ?? ""
            throw Problem(
                status: 400, code: .unsupportedField,
                message: "lifecycle.onExpiry \(word) is not supported by this server's runtime",
                field: "lifecycle.onExpiry")
        }
        guard let deleteAfterStopped, deleteAfterStopped > settings.keepLimits.most else { return }
        throw .invalid(
            "lifecycle.deleteAfterStopped",
            "lifecycle.deleteAfterStopped must be at most \(settings.keepLimits.most.wholeMilliseconds) on this server")
    }

    private func freezable(_ id: ComputeID, for caller: Caller) async throws(Problem) -> ComputeSummary {
        let summary = try await get(id, for: caller)
        guard ports.runtime.abilities.contains(.freeze) else {
            throw Problem(
                status: 409, code: .unsupported, message: "this server's runtime cannot pause sandboxes")
        }
        return summary
    }

    func decided(
        _ command: Compute.Command, on summary: ComputeSummary, for caller: Caller
    ) async throws(Problem) -> ComputeSummary {
        switch try await decide(command, on: summary.id, in: summary.group, metadata: caller.metadata) {
        case .committed, .unchanged: return try await get(summary.id, for: caller)
        case .rejected(let rejection): throw problem(rejection, of: summary.id)
        }
    }

    private func unsettled(_ error: RuntimeError, _ id: ComputeID) -> Problem {
        logger.failure("a place could not be made as its record says", error, ["compute.id": "\(id)"])
        return .unavailable("the sandbox cannot be changed at the moment", retryAfterSeconds: 2)
    }
}
