package import ComputeCore
package import EventSourcing

/// One compute as lists and look-ups show it: the read model's row, folded from its events.
package struct ComputeSummary: Hashable, Sendable {
    package enum State: String, Codable, Hashable, Sendable, CaseIterable {
        case requested, running, paused, stopped, ended

        package static let living: Set<State> = [.requested, .running, .paused, .stopped]
    }

    package var id: ComputeID
    package var group: GroupID
    package var name: String?
    package var namespace: String?
    package var metadata: [String: JSONValue]
    package var directory: String?
    /// What it has mounted, or had.
    package var filesystems: [ComputeFilesystem] = []
    /// What it may reach.
    package var network = NetworkPolicy.open
    /// Who reaches its ports.
    package var ports = PortAccess.open
    /// What it was made from.
    package var template: UsedTemplate?
    /// What it is metered by.
    package var size = MeteredSize()
    /// What becomes of it when its time is over.
    package var lifecycle = ComputeLifecycle()
    /// Since when it takes what it takes now: its last start, pause, resume or stop. nil before the first start, and after
    /// the end.
    package var meteredSince: WallTime?
    /// The lifetime that was asked for.
    package var timeout: Duration
    package var state: State
    package var createdAt: WallTime
    /// The last start.
    package var startedAt: WallTime?
    package var expiresAt: WallTime?
    package var endedAt: WallTime?
    package var endReason: EndReason?
    /// nil before the first start.
    package var generation: Generation?
    /// The last place; kept after the end, so that what is left there can be found.
    package var member: MemberName?
    /// nil without a place, like the next two.
    package var sidekick: Endpoint?
    package var sidekickInternal: Endpoint?
    package var portHost: String?
    /// The version of the stream that this row shows.
    package var version: Int

    package init(
        id: ComputeID, group: GroupID, name: String?, namespace: String?, metadata: [String: JSONValue],
        directory: String?, timeout: Duration, state: State, createdAt: WallTime, startedAt: WallTime?,
        expiresAt: WallTime?, endedAt: WallTime?, endReason: EndReason?, generation: Generation?, member: MemberName?,
        sidekick: Endpoint?, sidekickInternal: Endpoint?, portHost: String?, version: Int
    ) {
        self.id = id
        self.group = group
        self.name = name
        self.namespace = namespace
        self.metadata = metadata
        self.directory = directory
        self.timeout = timeout
        self.state = state
        self.createdAt = createdAt
        self.startedAt = startedAt
        self.expiresAt = expiresAt
        self.endedAt = endedAt
        self.endReason = endReason
        self.generation = generation
        self.member = member
        self.sidekick = sidekick
        self.sidekickInternal = sidekickInternal
        self.portHost = portHost
        self.version = version
    }
}

extension ComputeSummary {
    /// The row after `event`; pure, so that a rebuild gives the same rows as the transactions did.
    ///
    /// Events of other streams change nothing; types from a newer version only count the version up.
    /// - Throws: `.corrupt` when the event cannot be read or does not follow on the row.
    package static func applying(_ event: RecordedEvent, to row: ComputeSummary?) throws(EventStoreError)
        -> ComputeSummary?
    {
        guard event.stream.category == StreamID.computeCategory else { return row }
        let change = try ComputeEvent(type: event.type, data: event.data)
        guard var next = row else {
            guard let id = ComputeID(event.stream.id), case .requested(let spec, let at) = change else {
                throw EventStoreError(.corrupt, "the stream \(event.stream) does not start with a request")
            }
            return ComputeSummary(requested: id, group: event.group, spec: spec, at: at, version: event.version)
        }
        guard next.group == event.group, event.version == next.version + 1 else {
            throw EventStoreError(.corrupt, "an event of \(event.stream) does not follow on its summary")
        }
        next.version = event.version
        switch change {
        case nil: break
        case .requested: throw EventStoreError(.corrupt, "the stream \(event.stream) was requested twice")
        case .started(let placement, let expiresAt):
            next.state = .running
            next.startedAt = event.occurredAt
            next.expiresAt = expiresAt
            next.place(placement)
            next.meter(from: event.occurredAt)
        case .extended(let expiresAt), .expiryChanged(let expiresAt): next.expiresAt = expiresAt
        case .metadataChanged(let metadata): next.metadata = metadata
        case .networkChanged(let network): next.network = network
        case .portsChanged(let ports): next.ports = ports
        case .lifecycleChanged(let lifecycle, let deleteAt):
            next.lifecycle = lifecycle
            next.expiresAt = deleteAt ?? next.expiresAt
        case .paused(_, let deleteAt):
            next.state = .paused
            next.expiresAt = deleteAt ?? next.expiresAt
            next.meter(from: event.occurredAt)
        case .resumed(let placement):
            next.state = .running
            next.place(placement)
            next.meter(from: event.occurredAt)
        case .stopped(_, let deleteAt):
            next.state = .stopped
            next.expiresAt = deleteAt
            next.meter(from: event.occurredAt)
            next.unplace()
        case .ended(let reason):
            next.state = .ended
            next.endedAt = event.occurredAt
            next.endReason = reason
            next.meteredSince = nil
            next.unplace()
        }
        return next
    }

    /// Which member it was stays.
    private mutating func unplace() {
        sidekick = nil
        sidekickInternal = nil
        portHost = nil
    }

    /// A clock that was set back makes no time count twice.
    private mutating func meter(from time: WallTime) { meteredSince = max(meteredSince ?? time, time) }

    private mutating func place(_ placement: Placement) {
        generation = placement.generation
        member = placement.member
        sidekick = placement.sidekick
        sidekickInternal = placement.sidekickInternal
        portHost = placement.portHost
    }

    private init(requested id: ComputeID, group: GroupID, spec: ComputeSpec, at: WallTime, version: Int) {
        self.init(
            id: id, group: group, name: spec.name, namespace: spec.namespace, metadata: spec.metadata,
            directory: spec.directory, timeout: spec.timeout, state: .requested, createdAt: at, startedAt: nil,
            expiresAt: nil, endedAt: nil, endReason: nil, generation: nil, member: nil, sidekick: nil,
            sidekickInternal: nil, portHost: nil, version: version)
        filesystems = spec.filesystems
        network = spec.network
        ports = spec.ports
        template = spec.template
        lifecycle = spec.lifecycle
        size = MeteredSize(spec)
    }

    /// Where it runs, or stands still; nil without a place.
    package var placement: Placement? {
        guard let member, let generation, let sidekick, let sidekickInternal, let portHost else { return nil }
        return Placement(
            member: member, generation: generation, sidekick: sidekick, sidekickInternal: sidekickInternal,
            portHost: portHost)
    }
}
