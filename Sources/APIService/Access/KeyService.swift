import Auth
package import ComputeCore
package import ComputeDomain
import EventSourcing
package import Logging

/// What the API does about keys, without HTTP.
package struct KeyService: Sendable {
    let ports: APIPorts
    let settings: APISettings
    let decider: AccessDecider

    package init(ports: APIPorts, settings: APISettings, logger: Logger) {
        self.ports = ports
        self.settings = settings
        decider = AccessDecider(ports: ports, logger: logger)
    }

    /// A key with the one thing that is never stored.
    package struct Made: Sendable {
        package var record: AccessRecord
        package var key: String
    }

    // MARK: - Looking

    package func list(after cursor: String?, limit: Int, for caller: Caller) async throws(Problem) -> AccessPage {
        try await decider.records(.key, in: caller.group, after: cursor, limit: limit)
    }

    /// - Throws: 404 for what is unknown, another group's, or revoked.
    package func get(_ id: String, for caller: Caller) async throws(Problem) -> AccessRecord {
        guard let record = try await decider.record(.key, id, in: caller.group) else { throw .noSuchKey }
        return record
    }

    // MARK: - Changing

    /// - Throws: 403 for more power than the caller has himself.
    package func create(_ order: CreateKey, for caller: Caller) async throws(Problem) -> Made {
        var authority = Authority(
            role: order.role, scopes: order.scopes, expiresAt: order.lifetime.map { ports.clock.now() + $0 })
        // What he does not say is as with his own: else a confined key could not make one without naming everything.
        authority.scopes = authority.scopes ?? caller.authority.scopes
        authority.expiresAt = authority.expiresAt ?? caller.authority.expiresAt
        try caller.authority.require(authority)
        let id = String.randomLabel(length: 12)
        return try await make(
            KeyGrant(id: id, label: order.label, prefix: "", authority: authority, member: caller.member),
            in: caller.group, for: caller)
    }

    func make(_ grant: KeyGrant, in group: GroupID, for caller: Caller) async throws(Problem) -> Made {
        let key = APIKey.random()
        var grant = grant
        grant.prefix = key.prefix
        let row = PrivateRow.apiKey(hash: key.hash, keyID: grant.id, in: group)
        let limit = settings.keysPerGroup
        let outcome = try await decider.decide(
            APIKeyLife.self, .create(grant), on: .apiKey(grant.id), in: group, for: caller
        ) { _, commit in
            commit.privateRows = [row]
            commit.counterMoves = [CounterMove(counter: .keys(in: group), delta: 1, limit: limit)]
        }
        switch outcome {
        case .committed: break
        case .full: throw .tooMany("keys", limit)
        case .unchanged, .rejected: throw .internalError
        }
        guard let record = try await decider.record(.key, grant.id, in: group) else { throw .noSuchKey }
        return Made(record: record, key: key.text)
    }

    /// Another secret for the same key; the one before it is good for `overlap` more.
    /// - Throws: 403 for a key with more power than the caller has, and for another member's: he would have it then, also
    ///   when he is no member any more.
    package func rotate(_ id: String, overlap: Duration, for caller: Caller) async throws(Problem) -> Made {
        let found = try await get(id, for: caller)
        let standing = try await decider.reading { () throws(EventStoreError) in try found.authority() }
        try caller.authority.require(standing)
        if let owner = found.ownerID, owner.id != caller.member {
            throw .forbidden("the key is another member's; it can be revoked, and only who it is of can rotate it")
        }
        let key = APIKey.random()
        let group = found.group
        let command = APIKeyLife.Command.rotate(prefix: key.prefix, overlapUntil: ports.clock.now() + overlap)
        let outcome = try await decider.decide(
            APIKeyLife.self, command, on: .apiKey(id), in: group, for: caller
        ) { events, commit in
            for case .rotated(let number, _, _) in events {
                commit.privateRows.append(.apiKey(hash: key.hash, keyID: id, in: group, secret: number))
            }
        }
        guard case .committed = outcome else { throw .noSuchKey }
        return Made(record: try await get(id, for: caller), key: key.text)
    }

    /// Holds from the answer on, and for all sessions that were made with it.
    package func revoke(_ id: String, for caller: Caller) async throws(Problem) {
        let found = try await get(id, for: caller)
        let standing = try await decider.reading { () throws(EventStoreError) in try found.authority() }
        guard standing.role <= caller.authority.role else {
            throw .forbidden("the key has a higher role than the caller")
        }
        let outcome = try await decider.decide(
            APIKeyLife.self, .revoke, on: .apiKey(id), in: found.group, for: caller
        ) { _, commit in
            commit.counterMoves = [CounterMove(counter: .keys(in: found.group), delta: -1)]
        }
        guard case .committed = outcome else { throw .noSuchKey }
    }
}

extension Authority {
    /// - Throws: 403 that names what is too much.
    func require(_ other: Authority) throws(Problem) {
        guard other.role <= role else {
            throw .forbidden("nobody hands out a higher role than his own, which is \(role.rawValue)", field: "role")
        }
        guard !covers(other) else { return }
        if limited(by: other).scopes != other.scopes {
            throw .forbidden("nobody hands out scopes that he does not have", field: "scopes")
        }
        throw .forbidden("nobody hands out what is good for longer than his own credential", field: "expiresIn")
    }
}

extension Problem {
    static let noSuchKey = Problem.notFound("there is no such key")

    static func tooMany(_ what: String, _ limit: Int64) -> Problem {
        Problem.overQuota("there are \(limit) \(what), which is the limit")
    }
}
