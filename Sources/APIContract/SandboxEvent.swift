package import ComputeCore

/// One entry of `GET /v1/events`: what happened to a compute, as its owner may know it. Addresses and names of
/// places are not among it.
package struct SandboxEvent: Codable, Hashable, Sendable {
    /// The same for the same event, always; not a cursor.
    package var id: String
    package var type: String
    package var sandboxId: ComputeID
    package var timestamp: WallTime
    /// `key:<id>`, `system`, …
    package var actor: String
    package var requestId: String?
    package var data: JSONValue

    package init(
        id: String, type: String, sandboxId: ComputeID, timestamp: WallTime, actor: String, requestId: String?,
        data: JSONValue
    ) {
        self.id = id
        self.type = type
        self.sandboxId = sandboxId
        self.timestamp = timestamp
        self.actor = actor
        self.requestId = requestId
        self.data = data
    }
}
