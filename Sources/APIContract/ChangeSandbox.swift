package import ComputeCore

/// The body of `PATCH /v1/sandboxes/{id}`, checked. What is absent stays as it is.
package struct ChangeSandbox: Hashable, Sendable {
    /// Entries to set; `null` removes one.
    package var metadata: [String: JSONValue]?
    /// It ends so long from now.
    package var timeout: Duration?
    /// What it may reach from now on, in the place of all that was said of that before.
    package var network: NetworkPolicy?
    /// Entries to set; `null` removes one.
    package var ports: PortChanges?
    package var lifecycle: LifecycleOrder?

    /// What a create takes and nobody can change afterwards, and what no version can do yet. To ignore it would be to say
    /// that it was done.
    static let fixedFields = [
        "name", "namespace", "envs", "directory", "image", "resources", "overlays", "servers", "secrets", "filesystems",
        "duration", "templateId", "templateRevision",
    ]

    package init(_ document: JSONValue) throws(Problem) {
        let fields = try FieldReader(document)
        for field in Self.fixedFields + CreateSandbox.unsupportedFields {
            guard let value = fields.value(field), !value.asksForNothing else { continue }
            throw Problem(
                status: 400, code: .unsupportedField,
                message:
                    "\(field) of a sandbox cannot be changed; metadata, timeout, lifecycle, network and ports can",
                field: field)
        }
        metadata = try fields.object("metadata")
        if let metadata { try CreateSandbox.check(metadata: metadata) }
        timeout = try fields.integer("timeout", in: CreateSandbox.timeoutRange).map { .milliseconds($0) }
        network = try fields.object("network").map { (order) throws(Problem) in
            try NetworkPolicy(order, prefix: "network")
        }
        ports = try fields.object("ports").map { (order) throws(Problem) in try PortChanges(order, prefix: "ports") }
        lifecycle = try LifecycleOrder(fields)
    }
}
