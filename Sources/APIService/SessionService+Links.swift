package import APIContract
package import Auth
package import ComputeCore
import ComputeDomain
import EventSourcing

// Magic links: a secret in a URL that is good for one visit within five minutes, and becomes a session.
extension SessionService {
    package struct MadeLink: Sendable {
        package var secret: MagicLinkSecret
        package var expiresAt: WallTime
    }

    package enum Visit: Sendable {
        case welcome(Made, redirect: String)
        /// Unknown, used, over, or another compute's: the visitor is not told which.
        case refused
        /// The compute has as many sessions as it may; the link is still good.
        case full
    }

    package func createLink(
        _ order: CreateMagicLink, on id: ComputeID, for caller: Caller
    ) async throws(Problem) -> MadeLink {
        let (link, secret) = (MagicLinkID.random(), MagicLinkSecret.random())
        let expiresAt = ports.clock.now() + CreateMagicLink.lifetime
        let append = StreamAppend(
            stream: .magicLink(link), group: caller.group, expectedVersion: 0,
            events: [MagicLinkEvent.created(id, expiresAt: expiresAt).recorded])
        let row = PrivateRow.magicLink(
            hash: secret.hash, id: link, in: caller.group, redirect: order.redirect, origins: caller.origins,
            expiresAt: expiresAt)
        guard try await commit([append], caller, privateRows: [row]) else { throw .internalError }
        return MadeLink(secret: secret, expiresAt: expiresAt)
    }

    /// Uses the link up. Its use and the session that comes of it are one commit: of two visits at once one wins.
    /// - Parameter caller: its group is not looked at; a link is its own proof.
    package func visit(
        _ secret: MagicLinkSecret, on id: ComputeID, for caller: Caller
    ) async throws(Problem) -> Visit {
        let row = try await reading { () async throws(EventStoreError) in
            try await ports.store.privateRow(kind: PrivateRow.magicLinkKind, key: secret.hash)
        }
        guard let row, let (link, redirect) = row.magicLink,
            case .good(let end) = try await standing(ofOrigins: row.magicLinkOrigins)
        else { return .refused }
        guard try await hasRoom(on: id) else { return .full }
        for _ in 0..<8 {
            let history = try await reading { () async throws(EventStoreError) in
                try await ports.store.events(of: .magicLink(link))
            }
            let state = try await reading { () throws(EventStoreError) in try MagicLink.state(after: history) }
            let session = SessionID.random()
            let now = ports.clock.now()
            guard let events = try? MagicLink.decide(.use(on: id, session: session, at: now), state) else {
                return .refused
            }
            let grant = SessionGrant(
                computeID: id, description: "magic link", magicLink: link, createdAt: now,
                lifetime: CreateSession.defaultLifetime, until: end)
            let made = try await sign(grant, session, row.group, origins: row.magicLinkOrigins)
            let appends = [
                StreamAppend(
                    stream: .magicLink(link), group: row.group, expectedVersion: history.last?.version ?? 0,
                    events: events.map(\.recorded)),
                StreamAppend(
                    stream: .session(session), group: row.group, expectedVersion: 0,
                    events: [SessionTokenEvent.created(grant).recorded]),
            ]
            var visitor = caller
            visitor.group = row.group
            visitor.metadata.actor = "link:\(link)"
            if try await commit(appends, visitor) { return .welcome(made, redirect: redirect) }
        }
        throw .unavailable("too many changes at once")
    }
}
