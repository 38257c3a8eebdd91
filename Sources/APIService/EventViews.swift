package import APIContract
package import ComputeCore
package import ComputeDomain
package import EventSourcing

// What others see of an event: its owner through the public API, the Gateway through the internal feed.

extension SandboxEvent {
    /// What an owner may see. A list of what is shown, so that a new field is hidden until somebody decides.
    private static let shownFields: Set<String> = [
        "name", "namespace", "timeoutMs", "metadata", "envNames", "directory", "image", "resources", "expiresAt",
        "generation", "reason",
    ]

    /// nil for an event that is not of a compute.
    package init?(_ event: RecordedEvent) {
        guard event.stream.category == StreamID.computeCategory, let id = ComputeID(event.stream.id) else { return nil }
        var data: [String: JSONValue] = [:]
        if case .object(let fields) = event.data { data = fields.filter { Self.shownFields.contains($0.key) } }
        self.init(
            id: "\(id).\(event.version)", type: event.type, sandboxId: id, timestamp: event.occurredAt,
            actor: event.metadata.actor, requestId: event.metadata.requestID, data: .object(data))
    }
}

extension RouteRecord {
    package init(_ summary: ComputeSummary) {
        self.init(
            computeId: summary.id, group: summary.group, state: RouteState(summary.state),
            generation: summary.generation ?? .first, sidekick: summary.sidekick, portHost: summary.portHost)
    }

    /// nil for an event that changes no route.
    /// - Parameter generation: what the compute's last start said; an end does not repeat it.
    package init?(_ event: RecordedEvent, generation: (ComputeID) -> Generation?) throws(EventStoreError) {
        guard event.stream.category == StreamID.computeCategory, let id = ComputeID(event.stream.id),
            let change = try ComputeEvent(type: event.type, data: event.data)
        else { return nil }
        switch change {
        case .requested:
            self.init(
                computeId: id, group: event.group, state: .starting, generation: .first, sidekick: nil, portHost: nil)
        case .started(let placement, _):
            self.init(
                computeId: id, group: event.group, state: .running, generation: placement.generation,
                sidekick: placement.sidekick, portHost: placement.portHost)
        case .extended: return nil
        case .ended:
            self.init(
                computeId: id, group: event.group, state: .ended, generation: generation(id) ?? .first, sidekick: nil,
                portHost: nil)
        }
    }
}

extension SessionRecord {
    /// nil for an event that revokes nothing that a token stands on.
    package init?(_ event: RecordedEvent) throws(EventStoreError) {
        if let ended = try Self.endedCredential(event) {
            self.init(
                sessionId: ended.id, computeId: nil, isRevoked: true,
                // Nothing that came of it is good for longer.
                expiresAt: ended.expiresAt ?? event.occurredAt + CreateSession.longestLifetime)
            return
        }
        guard event.stream.category == StreamID.sessionCategory, let id = SessionID(event.stream.id),
            case .revoked(let computeID, let expiresAt)? = try SessionTokenEvent(type: event.type, data: event.data)
        else { return nil }
        self.init(sessionId: id, computeId: computeID, isRevoked: true, expiresAt: expiresAt)
    }

    /// The key, session or member of the API that is over with this event, or what a member was before his role sank.
    /// - Returns: also when it would have been over by itself, where the event says so.
    private static func endedCredential(
        _ event: RecordedEvent
    ) throws(EventStoreError) -> (id: SessionID, expiresAt: WallTime?)? {
        func ended(_ id: String, by expiresAt: WallTime? = nil) -> (id: SessionID, expiresAt: WallTime?)? {
            SessionID(id).map { ($0, expiresAt) }
        }
        switch event.stream.category {
        case StreamID.apiKeyCategory:
            guard case .revoked? = try APIKeyEvent(type: event.type, data: event.data) else { return nil }
            return ended(event.stream.id)
        case StreamID.apiSessionCategory:
            guard case .revoked(let expiresAt)? = try APISessionEvent(type: event.type, data: event.data) else {
                return nil
            }
            return ended(event.stream.id, by: expiresAt)
        case StreamID.groupCategory:
            switch try GroupEvent(type: event.type, data: event.data) {
            case .memberRemoved(let id, let demotions)?:
                return ended(Origin(member: id, demotions: demotions).text)
            case .memberRoleChanged(let id, _, let demotions?)?:
                return ended(Origin(member: id, demotions: demotions - 1).text)
            // With a deleted group no compute is left that a token could open.
            case .created?, .renamed?, .memberAdded?, .memberRoleChanged?, .deleted?, nil: return nil
            }
        default: return nil
        }
    }
}

extension RouteState {
    init(_ state: ComputeSummary.State) {
        self =
            switch state {
            case .requested: .starting
            case .running: .running
            case .ended: .ended
            }
    }
}

extension SandboxStatus {
    package init(_ state: ComputeSummary.State) {
        self =
            switch state {
            case .requested: .creating
            case .running: .running
            case .ended: .ended
            }
    }
}
