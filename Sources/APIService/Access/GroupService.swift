package import ComputeCore
package import ComputeDomain
import EventSourcing
package import Logging

/// What the API does about groups and their members, without HTTP.
package struct GroupService: Sendable {
    let settings: APISettings
    let keys: KeyService
    let decider: AccessDecider

    package init(ports: APIPorts, settings: APISettings, keys: KeyService, logger: Logger) {
        self.settings = settings
        self.keys = keys
        decider = AccessDecider(ports: ports, logger: logger)
    }

    /// A new group with the key of its first owner: the only way in.
    package struct Made: Sendable {
        package var group: AccessRecord
        package var key: KeyService.Made
    }

    // MARK: - Groups

    package func create(_ order: NameGroup, for caller: Caller) async throws(Problem) -> Made {
        let id = GroupID("g" + .randomLabel(length: 11))
        let limit = settings.groups
        let outcome = try await decider.decide(
            Group.self, .create(name: order.name), on: .group(id), in: id, for: caller
        ) { _, commit in
            commit.counterMoves = [CounterMove(counter: .groups, delta: 1, limit: limit)]
        }
        switch outcome {
        case .committed: break
        case .full: throw .tooMany("groups", limit)
        case .unchanged, .rejected: throw .internalError
        }
        let grant = KeyGrant(
            id: String.randomLabel(length: 12), label: "first", prefix: "", authority: Authority(role: .owner))
        return Made(group: try await get(id), key: try await keys.make(grant, in: id, for: caller))
    }

    package func get(_ id: GroupID) async throws(Problem) -> AccessRecord {
        guard let record = try await decider.record(.group, id.rawValue, in: id) else { throw .noSuchGroup }
        return record
    }

    /// Those that the caller is in: a key's one, or all that a person is a member of.
    package func list(for caller: Caller) async throws(Problem) -> [AccessRecord] {
        var ids = [caller.group]
        if caller.credential?.kind == .member, let member = caller.member,
            let record = try await decider.record(.member, member, in: caller.group), let owner = record.owner
        {
            ids = try await decider.records(.member, in: nil, ownedBy: owner, limit: 1000).records.map(\.group)
        }
        var groups: [AccessRecord] = []
        for id in ids {
            if let record = try await decider.record(.group, id.rawValue, in: id) { groups.append(record) }
        }
        return groups
    }

    package func rename(_ id: GroupID, _ order: NameGroup, for caller: Caller) async throws(Problem) -> AccessRecord {
        try await decide(.rename(name: order.name), on: id, for: caller)
        return try await get(id)
    }

    /// Ends the group with its members, keys and sessions. Its computes, webhooks, secrets, filesystems, templates and
    /// pools have to be ended before, and none begins after.
    /// - Throws: 409 for the group `default` and one that has any of those.
    package func delete(_ id: GroupID, for caller: Caller) async throws(Problem) {
        guard id != .default else { throw .defaultGroupStays }
        let outcome = try await decider.decide(Group.self, .delete, on: .group(id), in: id, for: caller) { _, commit in
            commit.counterMoves = [
                // Fits only where nothing is counted, and leaves no room: who is about to make something comes too late.
                CounterMove(counter: .computes(in: id), delta: Self.closed, limit: Self.closed),
                CounterMove(counter: .webhooks(in: id), delta: Self.closed, limit: Self.closed),
                CounterMove(counter: .secrets(in: id), delta: Self.closed, limit: Self.closed),
                CounterMove(counter: .filesystems(in: id), delta: Self.closed, limit: Self.closed),
                CounterMove(counter: .templates(in: id), delta: Self.closed, limit: Self.closed),
                CounterMove(counter: .pools(in: id), delta: Self.closed, limit: Self.closed),
                CounterMove(counter: .stoppedComputes(in: id), delta: Self.closed, limit: Self.closed),
                CounterMove(counter: .keys(in: id), delta: Self.closed),
                CounterMove(counter: .groups, delta: -1),
            ]
        }
        switch outcome {
        case .committed: return
        case .full: throw .groupInUse
        case .unchanged: throw .noSuchGroup
        case .rejected(let rejection): throw Problem(rejection)
        }
    }

    /// Above every limit, and far from overflow.
    private static let closed: Int64 = 1 << 40

    // MARK: - Members

    package func members(
        of id: GroupID, after cursor: String?, limit: Int
    ) async throws(Problem) -> AccessPage {
        try await decider.records(.member, in: id, after: cursor, limit: limit)
    }

    package func member(_ member: String, of id: GroupID) async throws(Problem) -> AccessRecord {
        guard let record = try await decider.record(.member, member, in: id) else { throw .noSuchMember }
        return record
    }

    /// - Throws: 403 for a caller who is confined to scopes, or has a lower role.
    package func add(_ order: AddMember, to id: GroupID, for caller: Caller) async throws(Problem) -> AccessRecord {
        try caller.authority.requireUnconfined()
        let member = GroupMember(
            id: String.randomLabel(length: 12), subject: order.subject, name: order.name, role: order.role)
        try await decide(.add(member, by: caller.authority.role), on: id, for: caller)
        return try await self.member(member.id, of: id)
    }

    /// When his role sinks, the tokens of computes that came of him and his keys are over; he gets new ones if he still
    /// may.
    /// - Throws: 403 for more than the caller has: a higher role than his, or any rise when he is confined to scopes.
    package func change(
        _ member: String, _ order: ChangeMember, of id: GroupID, for caller: Caller
    ) async throws(Problem) -> AccessRecord {
        let found = try await self.member(member, of: id)
        let standing = try await decider.reading { () throws(EventStoreError) in try found.authority() }
        if order.role > standing.role { try caller.authority.requireUnconfined() }
        try await decide(.changeRole(id: member, role: order.role, by: caller.authority.role), on: id, for: caller)
        return try await self.member(member, of: id)
    }

    /// His keys and sessions are over with it, and the tokens of computes that came of any of them.
    package func remove(_ member: String, of id: GroupID, for caller: Caller) async throws(Problem) {
        try await decide(.remove(id: member, by: caller.authority.role), on: id, for: caller)
    }

    private func decide(_ command: Group.Command, on id: GroupID, for caller: Caller) async throws(Problem) {
        switch try await decider.decide(Group.self, command, on: .group(id), in: id, for: caller) {
        case .committed, .unchanged: return
        case .full: throw .internalError
        case .rejected(let rejection): throw Problem(rejection)
        }
    }
}

extension Authority {
    /// A member is confined by nothing but his role: who is confined himself would hand out what he does not have.
    fileprivate func requireUnconfined() throws(Problem) {
        guard scopes == nil else {
            throw .forbidden("a credential with scopes makes no members, and raises none", field: "scopes")
        }
    }
}

extension Problem {
    static let noSuchGroup = Problem.notFound("there is no such group")
    static let defaultGroupStays = Problem(
        status: 409, code: .conflict, message: "the group \(GroupID.default) runs the system; it cannot be deleted")
    static let groupInUse = Problem(
        status: 409, code: .conflict,
        message: "the group has sandboxes, webhooks, secrets, filesystems, templates or pools; end them first")
    static let noSuchMember = Problem.notFound("there is no such member")

    init(_ rejection: Group.Rejection) {
        self =
            switch rejection {
            case .absent: .noSuchGroup
            case .noSuchMember: .noSuchMember
            case .alreadyCreated: .internalError
            case .alreadyMember(let id):
                Problem(
                    status: 409, code: .conflict, message: "this subject is a member already, \(id)", field: "subject")
            case .aboveOwnRole:
                .forbidden("nobody gives or takes a higher role than his own", field: "role")
            case .lastOwner:
                Problem(
                    status: 409, code: .conflict,
                    message: "this is the last owner among the members; make another one first", field: "role")
            case .full: .tooMany("members", Int64(Group.maxMembers))
            }
    }
}
