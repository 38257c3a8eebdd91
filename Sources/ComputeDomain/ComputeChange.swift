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

    package init(
        metadata: [String: JSONValue]? = nil, maximumMetadataBytes: Int, timeout: Duration? = nil,
        network: NetworkPolicy? = nil, ports: PortChanges? = nil
    ) {
        self.metadata = metadata
        self.maximumMetadataBytes = maximumMetadataBytes
        self.timeout = timeout
        self.network = network
        self.ports = ports
    }

    /// None for what is so already.
    func events(
        _ spec: ComputeSpec, expiresAt: WallTime, at now: WallTime
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
    func having(_ metadata: [String: JSONValue]) -> ComputeSpec {
        var spec = self
        spec.metadata = metadata
        return spec
    }

    func having(_ ports: PortAccess) -> ComputeSpec {
        var spec = self
        spec.ports = ports
        return spec
    }

    func having(_ network: NetworkPolicy) -> ComputeSpec {
        var spec = self
        spec.network = network
        return spec
    }
}
