package import ComputeCore

/// Whose deliveries are under way, and whose turn it is not yet. Pure.
///
/// A receiver that takes long holds a place for as long as it takes: so no group has more than a few of them, and one
/// that did not answer is let be for a moment.
package struct WebhookTurns: Sendable {
    /// Each is one connection to somewhere else.
    package static let atATime = 32
    package static let perGroup = 8
    package static let pauseOfSilent: Duration = .seconds(5)

    private var running: [WebhookID: GroupID] = [:]
    private var paused: [WebhookID: ContinuousClock.Instant] = [:]

    package init() {}

    package mutating func start(_ id: WebhookID, of group: GroupID, at now: ContinuousClock.Instant) -> Bool {
        if let end = paused[id] {
            guard end <= now else { return false }
            paused[id] = nil
        }
        guard running.count < Self.atATime, running[id] == nil,
            running.values.count(where: { $0 == group }) < Self.perGroup
        else { return false }
        running[id] = group
        return true
    }

    package mutating func end(_ id: WebhookID, wasSilent: Bool, at now: ContinuousClock.Instant) {
        running[id] = nil
        // Some are of webhooks that are gone.
        paused = paused.filter { now < $0.value }
        if wasSilent { paused[id] = now + Self.pauseOfSilent }
    }
}
