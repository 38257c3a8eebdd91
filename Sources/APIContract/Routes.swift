package import ComputeCore

/// What the Gateway needs to know of a compute: `GET /internal/v1/routes/{id}`, and every route event of the feed.
package struct RouteRecord: Codable, Hashable, Sendable {
    package var computeId: ComputeID
    package var group: GroupID
    package var state: RouteState
    package var generation: Generation
    /// The Sidekick's public listener; nil unless running.
    package var sidekick: Endpoint?
    /// Where ports are dialled; nil unless running.
    package var portHost: String?
    /// Who reaches its ports; nil in what says nothing of that: then it is as before, and at first open.
    package var ports: PortAccess?
    /// The version of the compute that this is of: of two records the higher one is the newer.
    package var version: Int?

    package init(
        computeId: ComputeID, group: GroupID, state: RouteState, generation: Generation, sidekick: Endpoint?,
        portHost: String?, ports: PortAccess? = nil, version: Int? = nil
    ) {
        self.computeId = computeId
        self.group = group
        self.state = state
        self.generation = generation
        self.sidekick = sidekick
        self.portHost = portHost
        self.ports = ports
        self.version = version
    }
}

package enum RouteState: String, Codable, Hashable, Sendable {
    /// Requested, not yet reachable: requests wait, bounded.
    case starting
    case running
    /// It stands still until somebody resumes it: 409.
    case paused
    /// It has no place until somebody starts it: 503.
    case stopped
    /// Gone for good: 404.
    case ended
}

/// Who reaches the ports of a compute from one version of it on.
package struct PortsRecord: Codable, Hashable, Sendable {
    package var computeId: ComputeID
    package var ports: PortAccess
    package var version: Int

    package init(computeId: ComputeID, ports: PortAccess, version: Int) {
        self.computeId = computeId
        self.ports = ports
        self.version = version
    }
}

/// One line of `GET /internal/v1/events?after=CURSOR&wait=SECONDS` (NDJSON, all groups, in order).
///
/// `route` is present on events that change where a compute is reached, `ports` on those that change who reaches its
/// ports, `session` on revocations. A reader stores `cursor` after it has
/// handled the line and resumes from there; an event may then come again, never be missed. An empty cursor is the
/// start of the log. The answer ends when nothing more came for `wait` seconds; its last line then has only a
/// cursor, so that a reader moves on also when nothing happened.
package struct FeedLine: Codable, Hashable, Sendable {
    package var cursor: String
    package var type: String?
    package var route: RouteRecord?
    package var ports: PortsRecord?
    package var session: SessionRecord?

    package init(
        cursor: String, type: String? = nil, route: RouteRecord? = nil, ports: PortsRecord? = nil,
        session: SessionRecord? = nil
    ) {
        self.cursor = cursor
        self.type = type
        self.route = route
        self.ports = ports
        self.session = session
    }
}

/// `GET /internal/v1/keys`: the public keys that access tokens verify against, newest first.
package struct TokenKeys: Codable, Hashable, Sendable {
    package struct Key: Codable, Hashable, Sendable {
        package var kid: String
        /// The Ed25519 public key's 32 bytes, base64url.
        package var x: String
        package init(kid: String, x: String) {
            self.kid = kid
            self.x = x
        }
    }
    package var keys: [Key]
    package init(keys: [Key]) { self.keys = keys }
}
