package import ComputeCore

/// An event that did not reach a webhook at the first attempt.
package struct WebhookDelivery: Hashable, Sendable {
    package enum State: String, Hashable, Sendable, CaseIterable {
        /// Tried again at `nextAt`.
        case retrying
        /// Given up; tried again when somebody asks.
        case dead
    }
    package var webhook: WebhookID
    package var group: GroupID
    /// As in lists of events.
    package var eventID: String
    package var type: String
    package var state: State
    package var attempts: Int
    package var nextAt: WallTime
    package var lastStatus: Int?
    package var lastError: String?
    package var firstFailedAt: WallTime
    package var lastFailedAt: WallTime

    package init(
        webhook: WebhookID, group: GroupID, eventID: String, type: String, state: State, attempts: Int,
        nextAt: WallTime, lastStatus: Int?, lastError: String?, firstFailedAt: WallTime, lastFailedAt: WallTime
    ) {
        self.webhook = webhook
        self.group = group
        self.eventID = eventID
        self.type = type
        self.state = state
        self.attempts = attempts
        self.nextAt = nextAt
        self.lastStatus = lastStatus
        self.lastError = lastError
        self.firstFailedAt = firstFailedAt
        self.lastFailedAt = lastFailedAt
    }

    /// How long it is waited after the first, second, … failed attempt: some nine hours in all, so that what breaks in
    /// the evening and is repaired in the morning loses nothing. Without chance in it: each webhook has one worker, so
    /// no two knock at the same moment.
    package static let waits: [Duration] = [
        .seconds(5), .seconds(30), .seconds(120), .seconds(600), .seconds(1800), .seconds(7200), .seconds(21600),
    ]

    /// The delivery after one more attempt failed.
    package func failedAgain(_ failure: WebhookFailure, at now: WallTime) -> WebhookDelivery {
        var next = self
        next.attempts += 1
        next.lastStatus = failure.status
        next.lastError = failure.text
        next.lastFailedAt = now
        if next.attempts > Self.waits.count {
            next.state = .dead
        } else {
            next.state = .retrying
            next.nextAt = now + Self.waits[next.attempts - 1]
        }
        return next
    }
}

/// Why an attempt failed.
package struct WebhookFailure: Error, Hashable, Sendable {
    /// What the receiver answered; nil when it did not.
    package var status: Int?
    /// For people. Holds nothing of the answer's body, which may be of a place that the asker could not reach himself.
    package var text: String

    package init(status: Int? = nil, _ text: String) {
        self.status = status
        self.text = text
    }
}

/// What came of one round of deliveries of one webhook; kept at once.
package struct WebhookProgress: Sendable {
    package var webhook: WebhookID
    /// Who holds the lease of webhooks; from anybody else nothing is kept. nil: whoever it is.
    package var owner: String?
    /// How far the log is handled; nil: as before.
    package var checkpoint: String?
    /// Failed, for the first time or again.
    package var failed: [WebhookDelivery] = []
    /// Ids of events that arrived after all.
    package var arrived: [String] = []

    package init(webhook: WebhookID, owner: String? = nil) {
        self.webhook = webhook
        self.owner = owner
    }
    package var isEmpty: Bool { checkpoint == nil && failed.isEmpty && arrived.isEmpty }
}
