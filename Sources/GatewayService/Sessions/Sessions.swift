import APIContract
import Auth
import ComputeCore
import Logging
import Synchronization

/// The shell around `RevocationTable`: who goes on because of which token, and what was said of its use.
final class Sessions: Sendable {
    private struct State {
        var table: RevocationTable
        /// By session; nil: access tokens, which can expire and not be taken back.
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
        guard token.kind == .session else {
            state.withLock { $0.uses[nil, default: [:]][ObjectIdentifier(use)] = use }
            return use
        }
        guard let id = SessionID(token.tokenID) else { throw .sessionOver }
        let now = clock.now()
        // Entered before anything is asked: a revocation that comes from now on finds it.
        let finding = state.withLock { state in
            state.uses[id, default: [:]][ObjectIdentifier(use)] = use
            return state.table.find(id)
        }
        do throws(Problem) {
            switch finding {
            case .good: break
            case .revoked: throw .sessionOver
            case .ask: try await ask(id, of: token.computeID)
            }
            guard !use.isOver else { throw .sessionOver }
        } catch {
            leave(use, id)
            throw error
        }
        state.withLock { state in
            if state.lastUses[id] != nil || state.lastUses.count < SessionUses.maxCount { state.lastUses[id] = now }
        }
        return use
    }

    func leave(_ use: SessionUse, of token: AccessToken) {
        leave(use, token.kind == .session ? SessionID(token.tokenID) : nil)
    }

    private func leave(_ use: SessionUse, _ id: SessionID?) {
        state.withLock { state in
            state.uses[id]?[ObjectIdentifier(use)] = nil
            if state.uses[id]?.isEmpty == true { state.uses[id] = nil }
        }
    }

    private func ask(_ id: SessionID, of computeID: ComputeID) async throws(Problem) {
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
            throw .unavailable("sessions cannot be checked at the moment")
        }
        guard let record, record.computeId == computeID else { throw .sessionOver }
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
