package import ComputeCore
package import EventSourcing

/// The life of one session token. Each has a stream of its own: tokens of one compute never wait for each other.
///
/// ```
///   absent ── create ──▶ active ── revoke ──▶ revoked
///                          └ (its time passes: no event, the time is in the first one)
/// ```
package enum SessionToken: Aggregate {
    package typealias Event = SessionTokenEvent

    package enum State: Hashable, Sendable {
        /// Nothing was ever recorded. Becomes active.
        case absent
        /// Good until its time is over. Becomes revoked.
        case active(SessionGrant)
        /// Over for good.
        case revoked(SessionGrant)

        package var grant: SessionGrant? {
            switch self {
            case .absent: nil
            case .active(let grant), .revoked(let grant): grant
            }
        }
    }

    package enum Command: Hashable, Sendable {
        case create(SessionGrant)
        case revoke(at: WallTime)
    }

    package enum Rejection: Error, Hashable, Sendable { case absent, alreadyCreated }

    package static let initial = State.absent

    package static func decide(_ command: Command, _ state: State) throws(Rejection) -> [SessionTokenEvent] {
        switch (command, state) {
        case (.create(let grant), .absent): return [.created(grant)]
        case (.create, .active), (.create, .revoked): throw .alreadyCreated
        case (.revoke, .absent): throw .absent
        case (.revoke(let now), .active(let grant)):
            // What is over needs no end.
            return grant.expiresAt <= now ? [] : [.revoked(grant.computeID, expiresAt: grant.expiresAt)]
        case (.revoke, .revoked): return []
        }
    }

    package static func evolve(_ state: State, _ event: SessionTokenEvent) -> State {
        switch (event, state) {
        case (.created(let grant), .absent): .active(grant)
        case (.revoked, .active(let grant)): .revoked(grant)
        case (.created, .active), (.created, .revoked), (.revoked, .absent), (.revoked, .revoked): state
        }
    }
}

extension StreamID {
    package static let sessionCategory = "session"
    package static func session(_ id: SessionID) -> StreamID { StreamID(category: sessionCategory, id: id.rawValue) }
}
