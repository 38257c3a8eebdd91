package import APIContract
import Auth
package import ComputeCore
package import ComputeDomain
import EventSourcing
package import Logging

/// What the API does about sessions, without HTTP: tokens that can be taken back, and links that make one.
package struct SessionService: Sendable, StoreReader {
    let ports: APIPorts
    let settings: APISettings
    let logger: Logger

    package init(ports: APIPorts, settings: APISettings, logger: Logger) {
        self.ports = ports
        self.settings = settings
        self.logger = logger
    }

    /// A session with the one thing that is never stored.
    package struct Made: Sendable {
        package var summary: SessionSummary
        package var token: String
    }

    // MARK: - Tokens

    package func create(_ order: CreateSession, on id: ComputeID, for caller: Caller) async throws(Problem) -> Made {
        guard try await hasRoom(on: id) else { throw .tooManySessions(settings.sessionsPerCompute) }
        let grant = SessionGrant(
            computeID: id, description: order.description, createdAt: ports.clock.now(), lifetime: order.lifetime,
            until: caller.expiresAt)
        let session = SessionID.random()
        let made = try await sign(grant, session, caller.group, origins: caller.origins)
        let append = StreamAppend(
            stream: .session(session), group: caller.group, expectedVersion: 0,
            events: [SessionTokenEvent.created(grant).recorded])
        guard try await commit([append], caller) else { throw .internalError }
        return made
    }

    /// Those that are good now, oldest first.
    package func list(on id: ComputeID) async throws(Problem) -> [SessionSummary] {
        try await reading { () async throws(EventStoreError) in
            try await ports.sessions.sessions(
                of: id, goodAt: ports.clock.now(), limit: settings.sessionsPerCompute)
        }
    }

    /// - Throws: 404 for what is unknown, another compute's, revoked or expired.
    package func get(_ session: SessionID, on id: ComputeID) async throws(Problem) -> SessionSummary {
        let found = try await reading { () async throws(EventStoreError) in try await ports.sessions.session(session) }
        guard let found, found.grant.computeID == id, found.isGood(at: ports.clock.now()) else {
            throw .noSuchSession
        }
        return found
    }

    /// Takes it back; nothing when it is over already.
    /// - Returns: until when it would have been good.
    @discardableResult
    package func revoke(_ session: SessionID, on id: ComputeID, for caller: Caller) async throws(Problem) -> WallTime {
        // Only another revocation can come between, so the second look finds nothing to do.
        for _ in 0..<8 {
            let history = try await reading { () async throws(EventStoreError) in
                try await ports.store.events(of: .session(session))
            }
            let state = try await reading { () throws(EventStoreError) in
                try SessionToken.state(after: history)
            }
            guard let grant = state.grant, grant.computeID == id else { throw .noSuchSession }
            let events = (try? SessionToken.decide(.revoke(at: ports.clock.now()), state)) ?? []
            guard !events.isEmpty else { return grant.expiresAt }
            let append = StreamAppend(
                stream: .session(session), group: caller.group, expectedVersion: history.last?.version ?? 0,
                events: events.map(\.recorded))
            if try await commit([append], caller) { return grant.expiresAt }
        }
        throw .unavailable("too many changes at once")
    }

    // MARK: - What a Gateway asks and says

    /// nil for what is unknown or expired, or its compute has ended.
    package func record(of session: SessionID) async throws(Problem) -> SessionRecord? {
        let found = try await reading { () async throws(EventStoreError) in try await ports.sessions.session(session) }
        return found.map {
            SessionRecord(
                sessionId: $0.id, computeId: $0.grant.computeID, isRevoked: $0.revokedAt != nil,
                expiresAt: $0.grant.expiresAt)
        }
    }

    enum OriginStanding: Hashable, Sendable {
        /// Until then; nil: until somebody takes it back.
        case good(until: WallTime?)
        case over
    }

    /// How a credential of the API stands that a token came of.
    func standing(ofOrigin text: String) async throws(Problem) -> OriginStanding {
        let now = ports.clock.now()
        return try await reading { () async throws(EventStoreError) in
            for candidate in Origin.candidates(text) {
                let chain = try await ports.access.chain(candidate.id)
                guard let authority = try chain.authority(at: now), try chain.first?.origin().text == text else {
                    continue
                }
                return .good(until: authority.expiresAt)
            }
            return .over
        }
    }

    /// How all of them stand together.
    func standing(ofOrigins origins: [String]) async throws(Problem) -> OriginStanding {
        var end: WallTime?
        for origin in origins {
            guard case .good(let until) = try await standing(ofOrigin: origin) else { return .over }
            end = [end, until].compactMap(\.self).min()
        }
        return .good(until: end)
    }

    package func note(_ uses: SessionUses) async throws(Problem) {
        let latest = Dictionary(uses.uses.map { ($0.sessionId, $0.at) }, uniquingKeysWith: max)
        try await reading { () async throws(EventStoreError) in try await ports.sessions.noteUses(latest) }
    }

    // MARK: - Ground

    /// The living compute.
    /// - Throws: 404 when it is unknown or has ended.
    package func compute(_ id: ComputeID) async throws(Problem) -> ComputeSummary {
        let found = try await reading { () async throws(EventStoreError) in
            try await ports.summaries.summary(id, in: nil)
        }
        guard let found, found.state != .ended else { throw .noSuchSandbox(id.rawValue) }
        return found
    }

    /// Whoever makes many at once may exceed it by as many as are under way: it bounds memory, and is nobody's quota.
    func hasRoom(on id: ComputeID) async throws(Problem) -> Bool {
        let now = ports.clock.now()
        let (good, revoked) = try await reading { () async throws(EventStoreError) in
            (
                try await ports.sessions.sessions(of: id, goodAt: now, limit: settings.sessionsPerCompute).count,
                try await ports.sessions.revokedSessionCount(of: id, at: now)
            )
        }
        return good < settings.sessionsPerCompute && revoked < settings.revokedSessionsPerCompute
    }

    func sign(
        _ grant: SessionGrant, _ session: SessionID, _ group: GroupID, origins: [String] = []
    ) async throws(Problem) -> Made {
        let token = AccessToken(
            computeID: grant.computeID, group: group, kind: .session, tokenID: session.rawValue,
            issuedAt: grant.createdAt, expiresAt: grant.expiresAt, origins: origins)
        do {
            return Made(
                summary: SessionSummary(
                    id: session, group: group, grant: grant, revokedAt: nil, lastUsedAt: nil, version: 1),
                token: try await ports.tokens.sign(token))
        } catch {
            logger.failure("a token could not be signed", error)
            throw .internalError
        }
    }

    /// - Returns: false when somebody else changed a stream first.
    func commit(
        _ appends: [StreamAppend], _ caller: Caller, privateRows: [PrivateRow] = []
    ) async throws(Problem) -> Bool {
        let commit = Commit(
            appends: appends, privateRows: privateRows, metadata: caller.metadata, occurredAt: ports.clock.now())
        let outcome = try await reading { () async throws(EventStoreError) in try await ports.store.commit(commit) }
        if case .committed = outcome { return true }
        return false
    }
}

extension Problem {
    static let noSuchSession = Problem.notFound("there is no such session token")

    static func tooManySessions(_ limit: Int) -> Problem {
        Problem.overQuota(
            "this sandbox has \(limit) session tokens, which is the limit; take some back, or let them expire")
    }
}

extension SessionUses {
    /// The checked body.
    init(_ document: JSONValue) throws(Problem) {
        let list = try FieldReader(document).array("uses") ?? []
        guard list.count <= Self.maxCount else {
            throw .invalid("uses", "uses must have at most \(Self.maxCount) entries")
        }
        var uses: [Use] = []
        for element in list {
            let fields = try FieldReader(element)
            guard let id = SessionID(try fields.requiredString("sessionId")),
                let at = WallTime(rfc3339: try fields.requiredString("at"))
            else { throw .invalid("uses", "an entry of uses names no session or no time") }
            uses.append(Use(sessionId: id, at: at))
        }
        self.init(uses: uses)
    }
}
