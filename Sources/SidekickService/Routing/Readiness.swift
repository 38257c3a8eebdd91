package import ComputeCore

/// What one kind of thing, servers or overlays, has to say to `GET /ready`.
package struct Readiness: Sendable {
    package var isReady: Bool
    package var isHealthy: Bool
    /// Beside `ready` and `healthy`.
    package var members: [String: JSONValue]

    package init(isReady: Bool, isHealthy: Bool, members: [String: JSONValue]) {
        self.isReady = isReady
        self.isHealthy = isHealthy
        self.members = members
    }

    /// Ready when all are. Without servers or overlays a claimed Sidekick is.
    static func document(_ parts: [Readiness]) -> JSONValue {
        var members: [String: JSONValue] = ["servers": .array([]), "overlays": .array([])]
        for part in parts { members.merge(part.members) { _, told in told } }
        members["ready"] = .bool(parts.allSatisfy(\.isReady))
        members["healthy"] = .bool(parts.allSatisfy(\.isHealthy))
        return .object(members)
    }
}
