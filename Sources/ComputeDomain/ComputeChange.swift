package import ComputeCore

/// What shall become different about a compute that lives.
package struct ComputeChange: Hashable, Sendable {
    /// Entries to set; those that are `null` are removed, all others stay.
    package var metadata: [String: JSONValue]?
    package var maximumMetadataBytes: Int
    /// It ends so long from now: later or earlier than before.
    package var timeout: Duration?
    /// What it may reach from now on.
    package var network: NetworkPolicy?
    /// Entries to set, or to remove.
    package var ports: PortChanges?
    /// What becomes of it when its time is over; what is absent stays.
    package var onExpiry: ComputeLifecycle.Expiry?
    package var deleteAfterStopped: Duration?
    package var keepLimits: KeepLimits

    package init(
        metadata: [String: JSONValue]? = nil, maximumMetadataBytes: Int, timeout: Duration? = nil,
        network: NetworkPolicy? = nil, ports: PortChanges? = nil,
        onExpiry: ComputeLifecycle.Expiry? = nil, deleteAfterStopped: Duration? = nil,
        keepLimits: KeepLimits = KeepLimits(usual: .zero, most: .zero)
    ) {
        self.metadata = metadata
        self.maximumMetadataBytes = maximumMetadataBytes
        self.timeout = timeout
        self.network = network
        self.ports = ports
        self.onExpiry = onExpiry
        self.deleteAfterStopped = deleteAfterStopped
        self.keepLimits = keepLimits
    }

    /// None for what is so already.
    /// - Parameter expiresAt: nil when no lifetime goes on, so that how long it is kept counts from now.
    func events(
        _ spec: ComputeSpec, expiresAt: WallTime?, at now: WallTime
    ) throws(Compute.Rejection) -> [ComputeEvent] {
        var events: [ComputeEvent] = []
        if let metadata {
            let merged = spec.metadata.merging(metadata) { $1 }.filter { metadata[$0.key] != .null }
            if merged != spec.metadata {
                // One entry at a time it may grow past what any create may bring.
                guard JSONValue.object(merged).roughSize <= maximumMetadataBytes else { throw .metadataTooLarge }
                events.append(.metadataChanged(merged))
            }
        }
        var lifecycle = spec.lifecycle
        if let onExpiry { lifecycle.onExpiry = onExpiry }
        if let deleteAfterStopped { lifecycle.deleteAfterStopped = deleteAfterStopped }
        if lifecycle != spec.lifecycle {
            let countsAnew = expiresAt == nil && lifecycle.deleteAfterStopped != spec.lifecycle.deleteAfterStopped
            events.append(
                .lifecycleChanged(lifecycle, deleteAt: countsAnew ? keepLimits.end(of: lifecycle, from: now) : nil))
        }
        if let timeout, now + timeout != expiresAt { events.append(.expiryChanged(expiresAt: now + timeout)) }
        if let ports = ports?.applied(to: spec.ports), ports != spec.ports {
            guard ports.ports.count <= PortAccess.maxPorts else { throw .tooManyPorts }
            events.append(.portsChanged(ports))
        }
        if let network, network != spec.network { events.append(.networkChanged(network)) }
        return events
    }
}

extension ComputeSpec {
    /// What is said of it after that.
    func after(_ event: ComputeEvent) -> ComputeSpec {
        var spec = self
        switch event {
        case .metadataChanged(let metadata): spec.metadata = metadata
        case .lifecycleChanged(let lifecycle, _): spec.lifecycle = lifecycle
        case .networkChanged(let network): spec.network = network
        case .portsChanged(let ports): spec.ports = ports
        case .requested, .started, .extended, .expiryChanged, .paused, .resumed, .stopped, .ended: break
        }
        return spec
    }
}
