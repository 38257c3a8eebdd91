import APIContract
import ComputeCore
import ComputeDomain
import EventSourcing
import FoundationEssentials
import Logging

/// One round of deliveries of one webhook: what is due again, then what is new.
///
/// ```
///   log ──▶ event ── arrived ──▶ checkpoint moves
///                └── failed ──▶ retrying ⟲ attempts ──▶ dead ◀─ redeliver
/// ```
/// The log is the queue: only what failed is kept beside it, and when that is as much as may be, the reading of the log
/// stops until it becomes less. One event that a receiver never takes holds up no other.
struct WebhookRound: Sendable {
    /// Events read at once, and retries of one round: what one webhook does before others are looked at again.
    static let batch = 20
    /// A receiver that is down fails every event; what waits beyond this waits in the log.
    static let mostRetrying = 100
    /// What has failed for good may become this much; then nothing more is sent before somebody looks.
    static let mostDead = 1000

    let service: WebhookService
    let webhook: WebhookSummary
    let places: WebhookPlaces
    /// Of the lease; nil: nobody has to hold it.
    let holder: String?
    /// From then on nothing more is begun, and what has been done is kept: so a kill repeats no more than that.
    private let end = ContinuousClock.now + .seconds(5)

    init(service: WebhookService, webhook: WebhookSummary, places: WebhookPlaces, holder: String?) {
        self.service = service
        self.webhook = webhook
        self.places = places
        self.holder = holder
    }

    private var isOver: Bool { ContinuousClock.now >= end }

    private var webhooks: any Webhooks { service.webhooks }
    private var ports: APIPorts { service.ports }

    enum Outcome {
        /// There is more to do at once.
        case more
        case done
        /// The receiver did not answer at all.
        case silent
        /// The webhook was disabled.
        case over
    }

    func run() async throws -> Outcome {
        let url = try await service.url(of: webhook.id)
        let retried = try await retry(url)
        // What is new would only be waited for as well.
        guard retried != .silent, retried != .over else { return retried }
        let wentOn = try await goOn(url)
        return wentOn == .done ? retried : wentOn
    }

    private func retry(_ url: WebhookURL) async throws -> Outcome {
        let due = try await webhooks.dueDeliveries(of: webhook.id, at: ports.clock.now(), limit: Self.batch)
        var progress = WebhookProgress(webhook: webhook.id, owner: holder)
        var isGone = false
        var tried = 0
        for delivery in due where !isGone {
            // One at least, however late it is.
            guard tried == 0 || !isOver else { break }
            tried += 1
            guard let event = try await event(delivery.eventID) else {
                // Its stream was taken out of the log meanwhile.
                progress.arrived.append(delivery.eventID)
                continue
            }
            do throws(WebhookFailure) {
                try await send(event, to: url)
                progress.arrived.append(delivery.eventID)
            } catch {
                guard !Task.isCancelled else { break }
                progress.failed.append(delivery.failedAgain(error, at: ports.clock.now()))
                isGone = error.status == 410
                // Nobody is there: the others would only be waited for as well.
                if error.status == nil { break }
            }
        }
        if try await keep(progress, isGone: isGone) { return .over }
        if progress.wasSilent { return .silent }
        return progress.failed.isEmpty && (due.count == Self.batch || tried < due.count) ? .more : .done
    }

    private func goOn(_ url: WebhookURL) async throws -> Outcome {
        guard try await webhooks.deliveryCount(of: webhook.id, in: .retrying) < Self.mostRetrying else { return .done }
        var start = places.place(of: webhook.id)
        if start == nil {
            start = try await ports.webhooks.consumers.checkpoint(of: WebhookSummary.consumer(webhook.id))
        }
        var filter = EventFilter(group: webhook.group)
        if !webhook.spec.types.isEmpty { filter.types = Set(webhook.spec.types) }
        let page = try await ports.store.events(after: start, matching: filter, limit: Self.batch)
        var progress = WebhookProgress(webhook: webhook.id, owner: holder)
        var isGone = false
        var handled = 0
        for event in page.events {
            guard handled == 0 || !isOver else { break }
            guard let shown = SandboxEvent(event) else {
                handled += 1
                continue
            }
            do throws(WebhookFailure) {
                try await send(shown, to: url)
                handled += 1
            } catch {
                // Whether it arrived nobody knows; it is sent again after the restart.
                guard !Task.isCancelled else { break }
                let now = ports.clock.now()
                let first = WebhookDelivery(
                    webhook: webhook.id, group: webhook.group, eventID: shown.id, type: shown.type, state: .retrying,
                    attempts: 0, nextAt: now, lastStatus: nil, lastError: nil, firstFailedAt: now, lastFailedAt: now)
                progress.failed.append(first.failedAgain(error, at: now))
                handled += 1
                isGone = error.status == 410
                if isGone || error.status == nil { break }
            }
        }
        let isWhole = handled == page.events.count
        let place = isWhole ? page.next : handled == 0 ? nil : page.cursor(after: handled - 1)
        if let place, place != start {
            // What was passed over costs no write of its own: after a crash it is passed over again.
            if !page.events.isEmpty || places.isWorthSaving(webhook.id) { progress.checkpoint = place.rawValue }
        }
        let isOver = try await keep(progress, isGone: isGone)
        if let place { places.set(place, of: webhook.id, isSaved: progress.checkpoint != nil) }
        if isOver { return .over }
        if progress.wasSilent { return .silent }
        return progress.failed.isEmpty && (page.hasMore || !isWhole) ? .more : .done
    }

    /// - Returns: whether the webhook was disabled.
    private func keep(_ progress: WebhookProgress, isGone: Bool) async throws -> Bool {
        guard !progress.isEmpty else { return false }
        // Also when this one is cancelled meanwhile: what has arrived would be sent again.
        try await Task { [webhooks, ports] in try await webhooks.note(progress, at: ports.clock.now()) }.value
        if isGone {
            try await service.disable(webhook, .gone)
            return true
        } else if progress.failed.contains(where: { $0.state == .dead }),
            try await webhooks.deliveryCount(of: webhook.id, in: .dead) >= Self.mostDead
        {
            try await service.disable(webhook, .tooManyFailures)
            return true
        }
        return false
    }

    private func event(_ id: String) async throws -> SandboxEvent? {
        guard let place = SandboxEvent.place(of: id) else { return nil }
        return try await ports.store.event(of: place.stream, version: place.version).flatMap { SandboxEvent($0) }
    }

    private func send(_ event: SandboxEvent, to url: WebhookURL) async throws(WebhookFailure) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let body = (try? encoder.encode(event)).map({ Array($0) }) else {
            throw WebhookFailure("the event cannot be written as JSON")
        }
        let now = ports.clock.now()
        let message = WebhookMessage(
            id: event.id, timestamp: now,
            signature: service.secrets.signature(of: body, id: event.id, at: now, for: webhook), body: body)
        var outcome = "failed"
        defer { APIMetrics.attempted(delivery: outcome) }
        let status = try await ports.webhooks.sender.send(message, to: url)
        guard (200..<300).contains(status) else {
            throw WebhookFailure(
                status: status,
                (300..<400).contains(status) ? "redirects are not followed" : "the receiver answered \(status)")
        }
        outcome = "arrived"
    }
}

extension WebhookProgress {
    fileprivate var wasSilent: Bool { failed.contains { $0.lastStatus == nil } }
}
