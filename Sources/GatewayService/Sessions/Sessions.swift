import APIContract
import Auth
import ComputeCore
import Logging
import Synchronization

/// The shell around `RevocationTable`: who goes on because of which token, and what was said of its use.
final class Sessions: Sendable {
    private struct State {
        var table: RevocationTable
        /// By session or credential; nil: access tokens that came of none, which can expire and not be taken back.
        var uses: [SessionID?: [ObjectIdentifier: SessionUse]] = [:]
        /// Computes whose revocations can be forgotten; collected, since each takes a pass through the table.
        var ended: Set<ComputeID> = []
        /// When sessions were last used, for the API. Bounded: what finds no place is not told.
        var lastUses: [SessionID: WallTime] = [:]
        var asking = 0
    }

    private let state: Mutex<State>
    private let api: InternalAPI
    private let clock: any WallClock
    private let logger: Logger
    /// Questions to the API at once: one for each request with a session token while the feed is lost.
    private static let mostQuestions = 64
    /// How often is looked for what has expired. One look at all of them, because a timer of each would be kept by the
    /// runtime until its time, long after the request.
    private static let pause: Duration = .seconds(1)
    /// Uses are told, and what is over forgotten, at each so many looks.
    private static let looksPerReport = 5

    init(table: RevocationTable = RevocationTable(), api: InternalAPI, clock: any WallClock, logger: Logger) {
        state = Mutex(State(table: table))
        self.api = api
        self.clock = clock
        self.logger = logger
    }

    // MARK: - Using

    /// To be called for every verified token, and `leave` when its request is done.
    /// - Throws: 401 for a token that was taken back, 503 when that cannot be found out.
    func enter(_ token: AccessToken) async throws(Problem) -> SessionUse {
        let use = SessionUse(expiresAt: token.expiresAt)
        let ids = try Self.ids(of: token)
        guard !ids.isEmpty else {
            state.withLock { $0.uses[nil, default: [:]][ObjectIdentifier(use)] = use }
            return use
        }
        let now = clock.now()
        // Entered before anything is asked: a revocation that comes from now on finds it.
        let findings = state.withLock { state in
            for id in ids { state.uses[id, default: [:]][ObjectIdentifier(use)] = use }
            return ids.map { state.table.find($0) }
        }
        do throws(Problem) {
            guard !findings.contains(.revoked) else { throw .sessionOver }
            for (id, finding) in zip(ids, findings) where finding == .ask { try await ask(id, of: token) }
            guard !use.isOver else { throw .sessionOver }
        } catch {
            leave(use, ids)
            throw error
        }
        guard token.kind == .session else { return use }
        state.withLock { state in
            let id = ids[0]
            if state.lastUses[id] != nil || state.lastUses.count < SessionUses.maxCount { state.lastUses[id] = now }
        }
        return use
    }

    func leave(_ use: SessionUse, of token: AccessToken) { leave(use, (try? Self.ids(of: token)) ?? []) }

    /// What the token ends with: itself, if it can be taken back, first; then what it came of.
    private static func ids(of token: AccessToken) throws(Problem) -> [SessionID] {
        let origins = token.origins.compactMap { SessionID($0) }
        guard token.kind == .session else { return origins }
        guard let own = SessionID(token.tokenID) else { throw .sessionOver }
        return [own] + origins
    }

    private func leave(_ use: SessionUse, _ ids: [SessionID]) {
        state.withLock { state in
            for id in ids.isEmpty ? [nil] : ids.map(Optional.some) {
                state.uses[id]?[ObjectIdentifier(use)] = nil
                if state.uses[id]?.isEmpty == true { state.uses[id] = nil }
            }
        }
    }

    private func ask(_ id: SessionID, of token: AccessToken) async throws(Problem) {
        let mayAsk = state.withLock { state in
            guard state.asking < Self.mostQuestions else { return false }
            state.asking += 1
            return true
        }
        guard mayAsk else { throw .unavailable("too many sessions are being looked up") }
        defer { state.withLock { $0.asking -= 1 } }
        let record: SessionRecord?
        do {
            record = try await api.session(id)
        } catch {
            logger.warning("session lookup failed", metadata: ["session": "\(id)", "error": "\(error)"])
            // An API that is down takes nothing back, and must not end what runs.
            if token.kind == .access { return }
            throw .unavailable("sessions cannot be checked at the moment")
        }
        guard let record, record.computeId == nil || record.computeId == token.computeID else { throw .sessionOver }
        if record.isRevoked {
            revoked(record)
            throw .sessionOver
        }
    }

    // MARK: - Learning

    /// Refuses the token from now on and ends what goes on with it.
    func revoked(_ record: SessionRecord) {
        guard record.isRevoked else { return }
        let now = clock.now()
        let uses = state.withLock { state in
            state.table.revoked(record, now: now)
            return Array((state.uses[record.sessionId] ?? [:]).values)
        }
        for use in uses { use.finish() }
    }

    func ended(_ id: ComputeID) { state.withLock { _ = $0.ended.insert(id) } }

    func caughtUp() { state.withLock { $0.table.caughtUp() } }

    func feedLost() { state.withLock { $0.table.feedLost() } }

    // MARK: - Telling

    /// Ends what goes on with tokens that have expired, tells the API of uses and forgets what is over, until cancelled.
    func run() async {
        var looks = 0
        while (try? await Task.sleep(for: Self.pause)) != nil {
            let now = clock.now()
            let expired = state.withLock { state in
                state.uses.values.flatMap { $0.values.filter { $0.hasExpired(by: now) } }
            }
            for use in expired { use.finish() }
            looks += 1
            guard looks.isMultiple(of: Self.looksPerReport) else { continue }
            let uses = state.withLock { state in
                if !state.ended.isEmpty { state.table.ended(state.ended) }
                state.ended = []
                state.table.forgetExpired(now: now)
                defer { state.lastUses = [:] }
                return state.lastUses
            }
            guard !uses.isEmpty else { continue }
            do {
                try await api.tell(SessionUses(uses: uses.map { .init(sessionId: $0.key, at: $0.value) }))
            } catch {
                // A list's "last used" is all that suffers.
                logger.debug("uses of sessions were not told", metadata: ["error": "\(error)"])
            }
        }
    }
}

extension Problem {
    static let sessionOver = Problem(
        status: 401, code: .unauthenticated, message: "the session is over: its token was taken back or has expired")
}
