package import ComputeCore

/// What was asked for. Of environment variables only the names are here: their values may be secrets, and
/// secrets never enter an event.
package struct ComputeSpec: Hashable, Sendable {
    /// Unique among the living of its group and namespace.
    package var name: String?
    /// Never nil when there is a name: then the default namespace stands in.
    package var namespace: String?
    /// The lifetime, counted from the start. Whole milliseconds.
    package var timeout: Duration
    package var metadata: [String: JSONValue]
    package var envNames: [String]
    /// The secrets that it is given, by name.
    package var secretNames: [String] = []
    /// How it is given them, as the create said it, for the next start. Absent in what was recorded before there was one.
    package var secrets: [JSONValue] = []
    /// What becomes of it when its time is over.
    package var lifecycle = ComputeLifecycle()
    /// The filesystems that it has for as long as it lives.
    package var filesystems: [ComputeFilesystem] = []
    /// What it may reach.
    package var network = NetworkPolicy.open
    /// Who reaches its ports.
    package var ports = PortAccess.open
    /// The template that it was made from. What it took of that is in the other fields.
    package var template: UsedTemplate?
    /// The working directory; nil for the image's own.
    package var directory: String?
    /// nil for the server's own.
    package var image: String?
    /// Where it differs from the server's own size.
    package var resources: ComputeResources?
    /// How large it really is, which is what it takes of the group's quotas; nil where the runtime has no measure.
    package var granted: ComputeResources?

    package init(
        name: String? = nil, namespace: String? = nil, timeout: Duration, metadata: [String: JSONValue] = [:],
        envNames: [String] = [], directory: String? = nil, image: String? = nil, resources: ComputeResources? = nil
    ) {
        self.name = name
        self.namespace = name == nil ? namespace : namespace ?? Self.defaultNamespace
        self.timeout = timeout
        self.metadata = metadata
        self.envNames = envNames
        self.directory = directory
        self.image = image
        self.resources = resources
    }
}

extension ComputeSpec {
    /// Where a name lives when the caller named no namespace.
    package static let defaultNamespace = "default"
}

/// Where a compute runs.
package struct Placement: Hashable, Sendable {
    package var member: MemberName
    package var generation: Generation
    /// What the Gateway speaks to.
    package var sidekick: Endpoint
    /// What the API claims through.
    package var sidekickInternal: Endpoint
    /// Where its ports are dialled.
    package var portHost: String

    package init(
        member: MemberName, generation: Generation, sidekick: Endpoint, sidekickInternal: Endpoint, portHost: String
    ) {
        self.member = member
        self.generation = generation
        self.sidekick = sidekick
        self.sidekickInternal = sidekickInternal
        self.portHost = portHost
    }
}
