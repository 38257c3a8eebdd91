import Auth
package import ComputeCore
package import ComputeDomain
package import EventSourcing
package import Logging

/// Sessions of the API, without HTTP: a key or a sign-in buys a token that stands for it, for less and for a while.
package struct APISessionService: Sendable {
    let ports: APIPorts
    let settings: APISettings
    let decider: AccessDecider

    package init(ports: APIPorts, settings: APISettings, logger: Logger) {
        self.ports = ports
        self.settings = settings
        decider = AccessDecider(ports: ports, logger: logger)
    }

    /// A session with the one thing that is never stored.
    package struct Made: Sendable {
        package var record: AccessRecord
        package var token: String
    }

    package func create(_ order: CreateAPISession, for caller: Caller) async throws(Problem) -> Made {
        guard let owner = caller.credential, owner.kind != .session else {
            throw .forbidden("a session cannot make sessions")
        }
        // A JWT knows whole seconds only.
        let now = WallTime(milliseconds: ports.clock.now().milliseconds / 1000 * 1000)
        let wanted = now + order.lifetime
        let expiresAt = caller.expiresAt.map { min($0, wanted) } ?? wanted
        let authority = Authority(
            role: order.role ?? caller.authority.role, scopes: order.scopes ?? caller.authority.scopes,
            expiresAt: expiresAt)
        try caller.authority.require(authority)
        let standing = try await decider.records(
            .session, in: caller.group, ownedBy: owner.description, limit: settings.sessionsPerCredential
        ).records.count { $0.expiresAt.map { now < $0 } ?? true }
        // Who makes many at once may exceed it by as many as are under way: it bounds memory, and is nobody's quota.
        guard standing < settings.sessionsPerCredential else {
            throw .tooMany("sessions of this credential", Int64(settings.sessionsPerCredential))
        }
        let grant = APISessionGrant(
            id: SessionID.random().rawValue, owner: owner, authority: authority, description: order.description,
            createdAt: now, expiresAt: expiresAt)
        let claims = APISessionToken(
            sessionID: grant.id, subject: owner.description, group: caller.group, role: authority.role.rawValue,
            scopes: authority.scopes?.map(\.rawValue).sorted(), issuedAt: now, expiresAt: expiresAt)
        let token: String
        do {
            token = try await ports.tokens.sign(claims)
        } catch {
            decider.logger.failure("a token could not be signed", error)
            throw .internalError
        }
        let outcome = try await decider.decide(
            APISession.self, .create(grant), on: .apiSession(grant.id), in: caller.group, for: caller)
        guard case .committed = outcome, let record = try await decider.record(.session, grant.id, in: caller.group)
        else { throw .internalError }
        return Made(record: record, token: token)
    }

    /// Those that the caller may see, oldest first: his own, or with the scope and role for it the group's.
    package func list(after cursor: String?, limit: Int, for caller: Caller) async throws(Problem) -> AccessPage {
        if Self.mayAll(caller) {
            return try await decider.records(.session, in: caller.group, after: cursor, limit: limit)
        }
        guard let own = caller.credential else { return AccessPage(records: [], next: nil) }
        guard own.kind != .session else {
            return AccessPage(records: [try await get(own.id, for: caller)], next: nil)
        }
        return try await decider.records(
            .session, in: caller.group, ownedBy: own.description, after: cursor, limit: limit)
    }

    /// - Throws: 404 for what is unknown, over, another group's, or not the caller's to see.
    package func get(_ id: String, for caller: Caller) async throws(Problem) -> AccessRecord {
        guard let record = try await decider.record(.session, id, in: caller.group),
            record.expiresAt.map({ ports.clock.now() < $0 }) ?? true,
            record.id == caller.credential || record.owner == caller.credential?.description || Self.mayAll(caller)
        else { throw .noSuchAPISession }
        return record
    }

    /// Ends it: from the answer on its token is nobody's.
    package func revoke(_ id: String, for caller: Caller) async throws(Problem) {
        let record = try await get(id, for: caller)
        let outcome = try await decider.decide(
            APISession.self, .revoke(at: ports.clock.now()), on: .apiSession(record.id.id), in: record.group,
            for: caller)
        guard case .committed = outcome else { throw .noSuchAPISession }
    }

    private static func mayAll(_ caller: Caller) -> Bool {
        caller.authority.permits(.sessionsWrite, atLeast: .admin)
    }

    // MARK: - Who shows one

    /// The signature says that we made it; what it may now is read from its record and from what that stands on.
    /// - Returns: nil for a token that is not good (any more).
    package func bearer(of token: String) async throws(EventStoreError) -> Bearer? {
        let now = ports.clock.now()
        guard let claims = try? await ports.tokens.verifier.verifySession(token, now: now) else { return nil }
        let chain = try await ports.access.chain(AccessRecord.ID(.session, claims.sessionID))
        guard let bearer = try Bearer(chain, at: now), bearer.group == claims.group else { return nil }
        return bearer
    }
}

extension Problem {
    static let noSuchAPISession = Problem.notFound("there is no such session")
}
