package import APIContract
package import ComputeCore
package import ComputeDomain
package import EventSourcing

// What others see of an event: its owner through the public API, the Gateway through the internal feed.

extension SandboxEvent {
    /// What the members of a group may see of an event's data, by the kind of what it happened to. Lists of what is
    /// shown, so that a new field is hidden until somebody decides, and so is a new kind.
    private static let shownFields: [String: Set<String>] = [
        StreamID.computeCategory: [
            "name", "namespace", "timeoutMs", "metadata", "envNames", "secretNames", "filesystems", "directory",
            "image", "lifecycle", "deleteAt",
            "resources", "granted", "network", "ports", "templateId", "templateRevision", "expiresAt", "generation",
            "reason",
        ],
        StreamID.sessionCategory: ["description", "expiresAt"],
        StreamID.magicLinkCategory: ["expiresAt", "sessionId"],
        StreamID.apiKeyCategory: ["keyID", "label", "prefix", "role", "scopes", "expiresAt", "member", "overlapUntil"],
        StreamID.apiSessionCategory: ["sessionId", "owner", "role", "scopes", "expiresAt", "description"],
        StreamID.groupCategory: ["name", "memberId", "role", "quotas"],
        StreamID.signingKeyCategory: ["kid", "withdrawsOthers"],
        StreamID.webhookCategory: ["origin", "types", "description", "isActive", "reason", "secretVersion"],
        StreamID.secretCategory: ["name", "version"],
        StreamID.filesystemCategory: ["name", "sizeMiB", "path", "readOnly"],
        // Not what it says of a create: that is at the template, for who may read it.
        StreamID.templateCategory: ["name", "description", "revision"],
        StreamID.poolCategory: ["name", "templateId", "templateRevision", "min", "max", "revision"],
    ]

    /// nil for an event that is nobody's to see.
    package init?(_ event: RecordedEvent) {
        let category = event.stream.category
        var data: [String: JSONValue] = [:]
        if case .object(let fields) = event.data { data = fields }
        // Of the program that made it all is shown: it is the group's own.
        var sandboxID =
            [StreamID.computeCategory, StreamID.customCategory].contains(category)
            ? ComputeID(event.stream.id) : nil
        if case .string(let text)? = data["computeId"], category != StreamID.customCategory {
            sandboxID = ComputeID(text)
        }
        if category != StreamID.customCategory {
            guard let shown = Self.shownFields[category] else { return nil }
            data = data.filter { shown.contains($0.key) }
        }
        self.init(
            id: Self.id(of: event.stream, version: event.version), type: event.type, sandboxId: sandboxID,
            subject: "\(category)/\(event.stream.id)", timestamp: event.occurredAt, actor: event.metadata.actor,
            requestId: event.metadata.requestID, data: .object(data))
    }

    /// Computes came first: theirs have no kind in front.
    package static func id(of stream: StreamID, version: Int) -> String {
        "\(stream.category == StreamID.computeCategory ? stream.id : stream.rawValue).\(version)"
    }

    /// The stream and version that `id(of:version:)` made it of.
    package static func place(of id: String) -> (stream: StreamID, version: Int)? {
        guard let dot = id.lastIndex(of: "."), let version = Int(id[id.index(after: dot)...]), version > 0 else {
            return nil
        }
        let name = String(id[..<dot])
        guard let stream = StreamID(rawValue: name.contains("-") ? name : "\(StreamID.computeCategory)-\(name)") else {
            return nil
        }
        return (stream, version)
    }
}

extension RouteRecord {
    package init(_ summary: ComputeSummary) {
        // One that is paused has an address, and nobody who answers there.
        let isReachable = summary.state == .running
        self.init(
            computeId: summary.id, group: summary.group, state: RouteState(summary.state),
            generation: summary.generation ?? .first, sidekick: isReachable ? summary.sidekick : nil,
            portHost: isReachable ? summary.portHost : nil, ports: summary.ports, version: summary.version)
    }

    /// nil for an event that changes no route.
    /// - Parameter generation: what the compute's last start said; an end does not repeat it.
    package init?(_ event: RecordedEvent, generation: (ComputeID) -> Generation?) throws(EventStoreError) {
        guard event.stream.category == StreamID.computeCategory, let id = ComputeID(event.stream.id),
            let change = try ComputeEvent(type: event.type, data: event.data)
        else { return nil }
        switch change {
        case .requested(let spec, _):
            self.init(
                computeId: id, group: event.group, state: .starting, generation: .first, sidekick: nil, portHost: nil,
                ports: spec.ports, version: event.version)
        case .started(let placement, _), .resumed(let placement):
            self.init(
                computeId: id, group: event.group, state: .running, generation: placement.generation,
                sidekick: placement.sidekick, portHost: placement.portHost, version: event.version)
        case .paused(let generation, _):
            self.init(
                computeId: id, group: event.group, state: .paused, generation: generation, sidekick: nil,
                portHost: nil, version: event.version)
        case .stopped(let generation, _):
            self.init(
                computeId: id, group: event.group, state: .stopped, generation: generation, sidekick: nil,
                portHost: nil, version: event.version)
        case .extended, .metadataChanged, .lifecycleChanged, .expiryChanged, .networkChanged, .portsChanged: return nil
        case .ended:
            self.init(
                computeId: id, group: event.group, state: .ended, generation: generation(id) ?? .first, sidekick: nil,
                portHost: nil, version: event.version)
        }
    }
}

extension PortsRecord {
    /// nil for an event that changes nothing of it.
    package init?(_ event: RecordedEvent) throws(EventStoreError) {
        guard event.type == ComputeEvent.TypeName.portsChanged.rawValue, let id = ComputeID(event.stream.id),
            case .portsChanged(let ports)? = try ComputeEvent(type: event.type, data: event.data)
        else { return nil }
        self.init(computeId: id, ports: ports, version: event.version)
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
            case .created?, .renamed?, .memberAdded?, .memberRoleChanged?, .quotasChanged?, .deleted?, nil: return nil
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
            case .paused: .paused
            case .stopped: .stopped
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
            case .paused: .paused
            case .stopped: .stopped
            case .ended: .ended
            }
    }
}
