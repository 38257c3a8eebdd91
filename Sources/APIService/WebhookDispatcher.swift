import ComputeCore
import ComputeDomain
import EventSourcing
import Logging
import ServiceLifecycle
import Synchronization

/// Drives the rounds of all webhooks, in one instance at a time: who has the lease does it, and the others wait for it.
package struct WebhookDispatcher: Service {
    /// Renewed at a third of it. After a crash another instance goes on when it is over.
    private static let lease: Duration = .seconds(30)
    /// Webhooks looked at together.
    private static let batch = 32
    /// Others wait for its place.
    private static let longestTurn: Duration = .seconds(15)
    /// Looked at this often for what is due again; new events wake it at once.
    private static let pause: Duration = .seconds(1)

    let service: WebhookService
    private let owner = String.randomLabel(length: 20)
    private let turns = Turns()
    private let places = WebhookPlaces()

    init(service: WebhookService) { self.service = service }

    private var ports: APIPorts { service.ports }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do {
                    if try await hold() { try await drive() }
                } catch {
                    service.logger.failure("webhooks cannot be served at the moment", error)
                }
                try? await Task.sleep(for: Self.pause)
            }
        }
        // Another instance need not wait for the end of the lease.
        try? await ports.webhooks.consumers.release(WebhookSummary.dispatcher, by: owner, at: ports.clock.now())
    }

    private func hold() async throws -> Bool {
        let now = ports.clock.now()
        return try await ports.webhooks.consumers.lease(
            WebhookSummary.dispatcher, for: owner, at: now, until: now + Self.lease)
    }

    /// Until the lease is lost, or nothing can be read.
    private func drive() async throws {
        places.forgetAll()
        try await withThrowingDiscardingTaskGroup { group in
            // Also the rounds under way end with it: another instance may be at them by now.
            defer { group.cancelAll() }
            var renewAt = ContinuousClock.now + Self.lease / 3
            var last: WebhookID?
            while !Task.isCancelled {
                if ContinuousClock.now >= renewAt {
                    guard try await hold() else { return }
                    renewAt = .now + Self.lease / 3
                }
                let head = try await ports.store.head()
                // In turns, so that also behind more than can run at a time everyone comes up.
                let page = try await service.webhooks.activeWebhooks(after: last, limit: Self.batch)
                last = page.count == Self.batch ? page.last?.id : nil
                for webhook in page where turns.start(webhook) {
                    group.addTask { await self.rounds(of: webhook, as: owner) }
                }
                guard last == nil else { continue }
                await ports.store.waitForEvents(after: head, timeout: Self.pause)
            }
        }
    }

    /// - Parameter holder: of the lease; nil: nobody has to hold it.
    private func rounds(of webhook: WebhookSummary, as holder: String? = nil) async {
        var wasSilent = false
        defer { turns.end(webhook, wasSilent: wasSilent) }
        let end = ContinuousClock.now + Self.longestTurn
        do {
            // A handful, then its turn is over.
            for _ in 0..<5 where !Task.isCancelled && ContinuousClock.now < end {
                // Each time anew: it may have been changed, moved or deleted.
                guard let current = try await service.webhooks.webhook(webhook.id, in: nil), current.spec.isActive
                else { return }
                let round = WebhookRound(service: service, webhook: current, places: places, holder: holder)
                switch try await round.run() {
                case .more: continue
                case .done, .over: return
                case .silent:
                    wasSilent = true
                    return
                }
            }
        } catch {
            service.logger.failure("a webhook cannot be served at the moment", error, ["webhook": "\(webhook.id)"])
            try? await Task.sleep(for: Self.pause)
        }
    }

    /// One round of all webhooks, one after the other.
    package func step() async throws {
        var last: WebhookID?
        while true {
            let page = try await service.webhooks.activeWebhooks(after: last, limit: Self.batch)
            for webhook in page { await rounds(of: webhook) }
            guard page.count == Self.batch else { return }
            last = page.last?.id
        }
    }
}

private final class Turns: Sendable {
    private let turns = Mutex(WebhookTurns())

    func start(_ webhook: WebhookSummary) -> Bool {
        turns.withLock { $0.start(webhook.id, of: webhook.group, at: .now) }
    }

    func end(_ webhook: WebhookSummary, wasSilent: Bool) {
        turns.withLock { $0.end(webhook.id, wasSilent: wasSilent, at: .now) }
    }
}
