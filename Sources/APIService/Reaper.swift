import ComputeCore
import ComputeDomain
import ComputeRuntime
import EventSourcing
import Logging
import ServiceLifecycle

/// Does with computes whose time is over what is to be done: most are ended, some stopped or paused.
///
/// Sleeps until the next one ends, at most a second: no lifetime is shorter than that, so none that begins during a
/// sleep can end during it, and nobody has to wake the reaper. One indexed query a second is what that costs.
package struct Reaper: Service {
    static let longestSleep: Duration = .seconds(1)
    /// What one look takes in; with more overdue it looks again at once.
    static let batch = 50

    let service: ComputeService

    package init(service: ComputeService) { self.service = service }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                let pause = await step()
                try? await Task.sleep(for: pause)
            }
        }
    }

    /// One look.
    /// - Returns: how long to sleep before the next.
    package func step() async -> Duration {
        let now = service.ports.clock.now()
        do {
            // Everything that ends within the longest sleep: the overdue are ended, the next one says how long to sleep.
            let horizon = now + Self.longestSleep
            let soon = try await service.ports.summaries.living(expiringBefore: horizon, limit: Self.batch)
            var next = horizon
            for summary in soon {
                guard let expiresAt = summary.expiresAt else { continue }
                if expiresAt <= now {
                    await end(summary)
                } else {
                    next = min(next, expiresAt)
                }
            }
            if soon.count == Self.batch, soon.last?.expiresAt.map({ $0 <= now }) == true { return .zero }
            return next - now
        } catch {
            service.logger.failure("the reaper cannot read", error)
            return Self.longestSleep
        }
    }

    private func end(_ summary: ComputeSummary) async {
        do throws(Problem) {
            try await service.expire(summary)
        } catch {
            // Looked at again in a second.
            service.logger.failure("an overdue sandbox could not be ended", error, ["compute.id": "\(summary.id)"])
        }
    }
}

extension ComputeService {
    /// What its lifecycle says, unless it was extended since `summary` was read.
    func expire(_ summary: ComputeSummary) async throws(Problem) {
        guard let current = try await self.summary(summary.id, in: nil), current.state != .ended,
            let expiresAt = current.expiresAt, expiresAt <= ports.clock.now()
        else { return }
        guard canRest(current) else {
            _ = try await end(current.id, in: current.group, .expired, metadata: .system)
            return
        }
        if current.lifecycle.onExpiry == .stop { try await keepDisk(of: current) }
        let command = Compute.Command.expire(settings.keepLimits, at: ports.clock.now())
        guard
            case .committed(let state) = try await decide(command, on: current.id, in: current.group, metadata: .system)
        else { return }
        if case .ended(_, let reason) = state { return try await clearUp(current.id, in: current.group, reason) }
        logger.info("a sandbox's time is over", metadata: ["compute.id": "\(current.id)"])
        try await settle(current.id)
    }

    /// The runtime may be another one than it was made on.
    private func canRest(_ summary: ComputeSummary) -> Bool {
        switch summary.lifecycle.onExpiry {
        case .delete: true
        case .stop: ports.runtime.abilities.contains(.keepDisk)
        case .pause: ports.runtime.abilities.contains(.freeze)
        }
    }
}
