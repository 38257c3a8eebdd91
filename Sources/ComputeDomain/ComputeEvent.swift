package import ComputeCore
package import EventSourcing

/// What can happen to a compute.
///
/// A change of shape gets a new field with a meaning when absent, or a new type name; recorded data are never edited.
package enum ComputeEvent: Hashable, Sendable {
    case requested(ComputeSpec, at: WallTime)
    /// It runs. A second one, of a higher generation, means that it was started again elsewhere.
    case started(Placement, expiresAt: WallTime)
    case extended(expiresAt: WallTime)
    /// All that it has from now on.
    case metadataChanged([String: JSONValue])
    /// Later or earlier than before.
    case expiryChanged(expiresAt: WallTime)
    /// All that holds from now on.
    case networkChanged(NetworkPolicy)
    /// All that holds from now on.
    case portsChanged(PortAccess)
    /// What becomes of it when its time is over, from now on; and where that changes how long it is kept, until when.
    case lifecycleChanged(ComputeLifecycle, deleteAt: WallTime? = nil)
    /// Its place, of that generation, stands still. With `deleteAt` because its lifetime was over: so long it is kept.
    case paused(Generation, deleteAt: WallTime? = nil)
    /// It runs where it ran; said once more, so that whoever follows the log need not remember it.
    case resumed(Placement)
    /// Its place, of that generation, is gone but for the disk, which is kept until then.
    case stopped(Generation, deleteAt: WallTime)
    case ended(EndReason)
}

extension ComputeEvent: DomainEvent {
    /// The names in the log.
    package enum TypeName: String, Sendable, CaseIterable {
        case requested = "ComputeRequested"
        case started = "ComputeStarted"
        case extended = "ComputeExtended"
        case metadataChanged = "ComputeMetadataChanged"
        case expiryChanged = "ComputeExpiryChanged"
        case networkChanged = "ComputeNetworkChanged"
        case portsChanged = "ComputePortsChanged"
        case lifecycleChanged = "ComputeLifecycleChanged"
        case paused = "ComputePaused"
        case resumed = "ComputeResumed"
        case stopped = "ComputeStopped"
        case ended = "ComputeEnded"
    }

    package var typeName: TypeName {
        switch self {
        case .requested: .requested
        case .started: .started
        case .extended: .extended
        case .metadataChanged: .metadataChanged
        case .expiryChanged: .expiryChanged
        case .networkChanged: .networkChanged
        case .portsChanged: .portsChanged
        case .lifecycleChanged: .lifecycleChanged
        case .paused: .paused
        case .resumed: .resumed
        case .stopped: .stopped
        case .ended: .ended
        }
    }

    package var recorded: NewEvent {
        NewEvent(type: typeName.rawValue, data: .object(fields.compactMapValues { $0 }))
    }

    private var fields: [String: JSONValue?] {
        switch self {
        case .requested(let spec, let at):
            [
                "name": spec.name.map(JSONValue.string),
                "namespace": spec.namespace.map(JSONValue.string),
                "timeoutMs": .int(spec.timeout.wholeMilliseconds),
                "metadata": .object(spec.metadata),
                "envNames": .array(spec.envNames.map(JSONValue.string)),
                "secretNames": spec.secretNames.isEmpty ? nil : .array(spec.secretNames.map(JSONValue.string)),
                "secrets": spec.secrets.isEmpty ? nil : .array(spec.secrets),
                "filesystems": spec.filesystems.isEmpty ? nil : .array(spec.filesystems.map(\.document)),
                "network": spec.network.isOpen ? nil : spec.network.document,
                "ports": spec.ports == .open ? nil : spec.ports.document,
                "directory": spec.directory.map(JSONValue.string),
                "lifecycle": spec.lifecycle == ComputeLifecycle() ? nil : spec.lifecycle.document,
                "image": spec.image.map(JSONValue.string),
                "resources": spec.resources?.document,
                "granted": spec.granted?.document,
                "templateId": spec.template.map { .string($0.id.rawValue) },
                "templateRevision": spec.template.map { .int($0.revision) },
                "requestedAt": .string(at.rfc3339),
            ]
        case .started(let placement, let expiresAt):
            placement.fields.merging(["expiresAt": .string(expiresAt.rfc3339)]) { $1 }
        case .extended(let expiresAt), .expiryChanged(let expiresAt): ["expiresAt": .string(expiresAt.rfc3339)]
        case .metadataChanged(let metadata): ["metadata": .object(metadata)]
        case .networkChanged(let network): ["network": network.document]
        case .portsChanged(let ports): ["ports": ports.document]
        case .lifecycleChanged(let lifecycle, let deleteAt):
            ["lifecycle": lifecycle.document, "deleteAt": deleteAt.map { .string($0.rfc3339) }]
        case .paused(let generation, let deleteAt):
            ["generation": .int(Int64(generation.rawValue)), "deleteAt": deleteAt.map { .string($0.rfc3339) }]
        case .resumed(let placement): placement.fields
        case .stopped(let generation, let deleteAt):
            ["generation": .int(Int64(generation.rawValue)), "deleteAt": .string(deleteAt.rfc3339)]
        case .ended(let reason): ["reason": .string(reason.rawValue)]
        }
    }

    package init?(type: String, data: JSONValue) throws(EventStoreError) {
        guard let name = TypeName(rawValue: type) else { return nil }
        do throws(Problem) {
            let reader = EventDataReader(try FieldReader(data))
            switch name {
            case .requested:
                var spec = ComputeSpec(
                    name: try reader.fields.string("name"), namespace: try reader.fields.string("namespace"),
                    timeout: .milliseconds(try reader.integer("timeoutMs", in: 0...Int64.max)),
                    metadata: try reader.fields.object("metadata") ?? [:],
                    envNames: try reader.strings("envNames"), directory: try reader.fields.string("directory"),
                    image: try reader.fields.string("image"), resources: try reader.resources("resources"))
                spec.secretNames = try reader.strings("secretNames")
                spec.secrets = try reader.fields.array("secrets") ?? []
                spec.filesystems = try reader.filesystems("filesystems")
                spec.network = try reader.network() ?? .open
                spec.ports = try reader.ports() ?? .open
                spec.lifecycle = try reader.lifecycle() ?? ComputeLifecycle()
                spec.granted = try reader.resources("granted")
                spec.template = try reader.template()
                self = .requested(spec, at: try reader.time("requestedAt"))
            case .started:
                self = .started(try reader.placement(), expiresAt: try reader.time("expiresAt"))
            case .extended: self = .extended(expiresAt: try reader.time("expiresAt"))
            case .metadataChanged:
                guard let metadata = try reader.fields.object("metadata") else {
                    throw Problem.invalid("metadata", "metadata is required")
                }
                self = .metadataChanged(metadata)
            case .networkChanged:
                guard let network = try reader.network() else {
                    throw .invalid("network", "network is required")
                }
                self = .networkChanged(network)
            case .portsChanged:
                guard let ports = try reader.ports() else { throw .invalid("ports", "ports is required") }
                self = .portsChanged(ports)
            case .expiryChanged: self = .expiryChanged(expiresAt: try reader.time("expiresAt"))
            case .lifecycleChanged:
                guard let lifecycle = try reader.lifecycle() else {
                    throw Problem.invalid("lifecycle", "lifecycle is required")
                }
                self = .lifecycleChanged(lifecycle, deleteAt: try reader.optionalTime("deleteAt"))
            case .paused: self = .paused(try reader.generation(), deleteAt: try reader.optionalTime("deleteAt"))
            case .resumed: self = .resumed(try reader.placement())
            case .stopped: self = .stopped(try reader.generation(), deleteAt: try reader.time("deleteAt"))
            case .ended:
                let text = try reader.fields.requiredString("reason")
                guard let reason = EndReason(rawValue: text) else {
                    throw Problem.invalid("reason", "reason is not one that is known")
                }
                self = .ended(reason)
            }
        } catch {
            throw EventStoreError(.corrupt, "the data of a \(type) do not fit: \(error.message)", cause: error)
        }
    }
}

extension Placement {
    fileprivate var fields: [String: JSONValue?] {
        [
            "member": .string(member.rawValue),
            "generation": .int(Int64(generation.rawValue)),
            "sidekick": .string(sidekick.description),
            "sidekickInternal": .string(sidekickInternal.description),
            "portHost": .string(portHost),
        ]
    }
}

/// What events need on top of `FieldReader`: times, endpoints, required numbers.
struct EventDataReader {
    let fields: FieldReader
    init(_ fields: FieldReader) { self.fields = fields }

    func integer(_ name: String, in range: ClosedRange<Int64>) throws(Problem) -> Int64 {
        guard let number = try fields.integer(name, in: range) else {
            throw .invalid(name, "\(name) is required")
        }
        return number
    }

    func time(_ name: String) throws(Problem) -> WallTime {
        guard let time = WallTime(rfc3339: try fields.requiredString(name)) else {
            throw .invalid(name, "\(name) must be an RFC 3339 time")
        }
        return time
    }

    func optionalTime(_ name: String) throws(Problem) -> WallTime? {
        fields.value(name) == nil ? nil : try time(name)
    }

    /// Absent in what was recorded before there was a choice.
    func lifecycle() throws(Problem) -> ComputeLifecycle? {
        try fields.object("lifecycle").map { (lifecycle) throws(Problem) in
            try ComputeLifecycle(FieldReader(lifecycle, prefix: "lifecycle"))
        }
    }

    func generation() throws(Problem) -> Generation {
        Generation(Int(try integer("generation", in: 1...Int64(Int32.max))))
    }

    func placement() throws(Problem) -> Placement {
        Placement(
            member: MemberName(try fields.requiredString("member")), generation: try generation(),
            sidekick: try endpoint("sidekick"), sidekickInternal: try endpoint("sidekickInternal"),
            portHost: try fields.requiredString("portHost"))
    }

    func endpoint(_ name: String) throws(Problem) -> Endpoint {
        guard let endpoint = Endpoint(try fields.requiredString(name)) else {
            throw .invalid(name, "\(name) must be host:port or unix:/path")
        }
        return endpoint
    }

    /// Fields of a newer version are tolerated, as everywhere in events.
    func resources(_ name: String) throws(Problem) -> ComputeResources? {
        try fields.object(name).map { (size) throws(Problem) in
            let size = FieldReader(size, prefix: name)
            return ComputeResources(
                cpus: try size.number("cpus", in: 0...Double(Int32.max)),
                memoryBytes: try size.integer("memoryMiB", in: 0...(1 << 40)).map { $0 << 20 },
                diskBytes: try size.integer("diskMiB", in: 0...(1 << 40)).map { $0 << 20 })
        }
    }

    func network() throws(Problem) -> NetworkPolicy? {
        try fields.object("network").map { (policy) throws(Problem) in
            try NetworkPolicy(recorded: FieldReader(policy, prefix: "network"))
        }
    }

    func ports() throws(Problem) -> PortAccess? {
        try fields.object("ports").map { (entries) throws(Problem) in try PortAccess(recorded: entries) }
    }

    /// Absent in what was recorded before there were any.
    func template() throws(Problem) -> UsedTemplate? {
        guard let text = try fields.string("templateId") else { return nil }
        guard let id = TemplateID(text) else {
            throw .invalid("templateId", "templateId is not the id of a template")
        }
        return UsedTemplate(id: id, revision: try integer("templateRevision", in: 1...Int64.max))
    }

    func strings(_ name: String) throws(Problem) -> [String] {
        var strings: [String] = []
        for element in try fields.array(name) ?? [] {
            guard case .string(let text) = element else {
                throw .invalid(name, "\(name) must hold strings only")
            }
            strings.append(text)
        }
        return strings
    }
}
