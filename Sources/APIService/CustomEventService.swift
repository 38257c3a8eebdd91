package import APIContract
package import ComputeCore
import ComputeDomain
import EventSourcing

/// What programs put on record themselves.
package struct CustomEventService: Sendable {
    /// The log is kept for good, and whoever is in a compute has its token.
    package static let perCompute = 10_000

    let service: ComputeService

    package init(service: ComputeService) { self.service = service }

    /// - Throws: 404 when the compute is not (any more), 429 when it has made as many as it may.
    package func emit(_ order: EmitEvent, on id: ComputeID, for caller: Caller) async throws(Problem) -> EmittedEvent {
        guard let summary = try await service.summary(id, in: caller.group), summary.state != .ended else {
            throw .noSuchSandbox(id.rawValue)
        }
        // Each conflict is somebody else's event; so many at once are more than anybody needs.
        for _ in 0..<32 {
            let version: Int
            do {
                version = try await service.ports.store.version(of: .custom(id))
            } catch {
                throw service.problem(error)
            }
            guard version < Self.perCompute else { throw .tooManyCustomEvents }
            let now = service.ports.clock.now()
            let commit = Commit.custom(
                order.type, order.data, of: id, in: caller.group, version: version, metadata: caller.metadata, at: now)
            if case .committed = try await service.commit(commit) {
                return EmittedEvent(
                    eventId: SandboxEvent.id(of: .custom(id), version: version + 1), sandboxId: id, type: order.type,
                    timestamp: now)
            }
        }
        throw .unavailable("too many events at once")
    }
}

extension Problem {
    static let tooManyCustomEvents = Problem.overQuota(
        "this sandbox has put \(CustomEventService.perCompute) events on record, which is the limit",
        // No time makes room: the number is there because clients expect one.
        retryAfterSeconds: 3600)
}
