package import ComputeCore

/// One entry of `GET /v1/events`: what happened, as those who belong to the group may know it. Addresses and names of
/// places are not among it.
package struct SandboxEvent: Codable, Hashable, Sendable {
    /// The same for the same event, always; not a cursor.
    package var id: String
    package var type: String
    /// The compute that it concerns, if it concerns one.
    package var sandboxId: ComputeID?
    /// What it happened to: `compute/<id>`, `session/<id>`, `apikey/<id>`, …
    package var subject: String
    package var timestamp: WallTime
    /// `key:<id>`, `system`, …
    package var actor: String
    package var requestId: String?
    package var data: JSONValue

    package init(
        id: String, type: String, sandboxId: ComputeID?, subject: String, timestamp: WallTime, actor: String,
        requestId: String?, data: JSONValue
    ) {
        self.id = id
        self.type = type
        self.sandboxId = sandboxId
        self.subject = subject
        self.timestamp = timestamp
        self.actor = actor
        self.requestId = requestId
        self.data = data
    }
}

/// A page of events.
package struct EventList: Codable, Hashable, Sendable {
    package var success = true
    package var data: [SandboxEvent]
    /// For the next page; absent when there is nothing more now.
    package var next: String?
    /// Where to go on later, also after the last page; absent only when the log is empty.
    package var cursor: String?

    package init(data: [SandboxEvent], next: String?, cursor: String?) {
        self.data = data
        self.next = next
        self.cursor = cursor
    }
}
