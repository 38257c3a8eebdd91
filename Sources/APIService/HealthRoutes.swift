import APIContract
import ComputeCore
import ComputeRuntime
import EventSourcing
import HTTPTypes
import Hummingbird
import Logging

/// `GET /health`: the process answers. `GET /ready`: a create would succeed now.
struct HealthRoutes: Sendable {
    let readiness: ReadinessProbe

    func add(to router: some RouterMethods<APIRequestContext>) {
        RouteHandlers([.get: { _, _ in try Answer.json(Readiness()) }]).add("/health", to: router)
        RouteHandlers([.get: ready]).add("/ready", to: router)
    }

    @Sendable func ready(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let reasons = await readiness.reasons()
        var response = try Answer.json(Readiness(reasons: reasons), status: reasons.isEmpty ? .ok : .serviceUnavailable)
        if !reasons.isEmpty { response.headers[.retryAfter] = "1" }
        return response
    }
}

/// Asks what a create needs. An actor, so that many probes at once become one, whose answer is good for a second:
/// the question writes to the database, and anybody may ask it.
package actor ReadinessProbe {
    static let goodFor: Duration = .seconds(1)

    private let ports: APIPorts
    private let logger: Logger
    private var last: (at: ContinuousClock.Instant, reasons: [String])?
    private var running: Task<[String], Never>?

    init(ports: APIPorts, logger: Logger) {
        self.ports = ports
        self.logger = logger
    }

    func reasons() async -> [String] {
        if let last, ContinuousClock.now - last.at < Self.goodFor { return last.reasons }
        if let running { return await running.value }
        let task = Task { await ask() }
        running = task
        let reasons = await task.value
        last = (.now, reasons)
        running = nil
        return reasons
    }

    private func ask() async -> [String] {
        var reasons: [String] = []
        // A full disk reads well and writes nothing, so only a write proves it.
        let commit = Commit(
            appends: [], privateRows: [PrivateRow(kind: "probe", key: "ready", group: .default, value: .object([:]))],
            metadata: .system, occurredAt: ports.clock.now())
        do {
            _ = try await ports.store.commit(commit)
            _ = try await ports.store.privateRow(kind: "probe", key: "ready")
        } catch {
            logger.failure("not ready: the event store failed", error)
            reasons.append("the database is not available")
        }
        if let reason = await ports.runtime.unreadyReason() { reasons.append(reason) }
        return reasons
    }
}
