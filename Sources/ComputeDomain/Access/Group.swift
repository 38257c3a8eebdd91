package import ComputeCore
package import EventSourcing

/// A tenant and who is in it. One stream, because its rules are about all members at once: nobody is in twice, and a
/// group that has owners among its members keeps one.
///
/// ```
///   absent ── create ──▶ active ⟲ rename, limit; member added, changed, removed
///                          └─ delete ──▶ deleted
/// ```
package enum Group: Aggregate {
    package typealias Event = GroupEvent

    package enum State: Hashable, Sendable {
        /// Nothing was ever recorded. Becomes active.
        case absent
        /// Becomes deleted. `quotas` are those that it has for itself.
        case active(name: String, members: [String: GroupMember], quotas: GroupQuotas = GroupQuotas())

        /// Over for good: its id is never used again.
        case deleted

        package var members: [String: GroupMember] {
            if case .active(_, let members, _) = self { members } else { [:] }
        }
    }

    /// `by` is the role of whoever asks: nobody gives or takes more than he has.
    package enum Command: Hashable, Sendable {
        case create(name: String)
        case rename(name: String)
        case add(GroupMember, by: Role)
        case changeRole(id: String, role: Role, by: Role)
        case remove(id: String, by: Role)
        /// All of them at once; who may is decided outside of the group.
        case limit(GroupQuotas)
        case delete
    }

    package enum Rejection: Error, Hashable, Sendable {
        case absent
        case alreadyCreated
        case alreadyMember(id: String)
        case noSuchMember
        case aboveOwnRole
        case lastOwner
        case full
    }

    /// A stream is read whole at each decision.
    package static let maxMembers = 1000

    package static let initial = State.absent

    package static func decide(_ command: Command, _ state: State) throws(Rejection) -> [GroupEvent] {
        switch (command, state) {
        case (.create(let name), .absent): return [.created(name: name)]
        case (.create, .active), (.create, .deleted): throw .alreadyCreated
        case (.rename, .absent), (.add, .absent), (.changeRole, .absent), (.remove, .absent), (.limit, .absent),
            (.delete, .absent), (.rename, .deleted), (.add, .deleted), (.changeRole, .deleted), (.remove, .deleted),
            (.limit, .deleted), (.delete, .deleted):
            throw .absent
        case (.delete, .active): return [.deleted]
        case (.limit(let quotas), .active(_, _, let old)): return quotas == old ? [] : [.quotasChanged(quotas)]
        case (.rename(let name), .active(let old, _, _)): return name == old ? [] : [.renamed(name: name)]
        case (.add(let member, let asker), .active(_, let members, _)):
            guard member.role <= asker else { throw .aboveOwnRole }
            if let known = members.values.first(where: { $0.subject == member.subject }) {
                throw .alreadyMember(id: known.id)
            }
            guard members.count < maxMembers else { throw .full }
            return [.memberAdded(member)]
        case (.changeRole(let id, let role, let asker), .active(_, let members, _)):
            guard let member = members[id] else { throw .noSuchMember }
            guard max(member.role, role) <= asker else { throw .aboveOwnRole }
            guard member.role != role else { return [] }
            if member.role == .owner, isLastOwner(id, members) { throw .lastOwner }
            return [.memberRoleChanged(id: id, role: role, demotions: role < member.role ? member.demotions + 1 : nil)]
        case (.remove(let id, let asker), .active(_, let members, _)):
            guard let member = members[id] else { throw .noSuchMember }
            guard member.role <= asker else { throw .aboveOwnRole }
            if isLastOwner(id, members) { throw .lastOwner }
            return [.memberRemoved(id: id, demotions: member.demotions)]
        }
    }

    private static func isLastOwner(_ id: String, _ members: [String: GroupMember]) -> Bool {
        members[id]?.role == .owner && !members.values.contains { $0.id != id && $0.role == .owner }
    }

    /// Follows what was recorded. An event that fits no state (none is ever decided) changes nothing.
    package static func evolve(_ state: State, _ event: GroupEvent) -> State {
        guard case .active(let name, var members, let quotas) = state else {
            if case .created(let name) = event { return .active(name: name, members: [:]) }
            return state
        }
        switch event {
        case .created: return state
        case .renamed(let name): return .active(name: name, members: members, quotas: quotas)
        case .quotasChanged(let quotas): return .active(name: name, members: members, quotas: quotas)
        case .memberAdded(let member): members[member.id] = member
        case .memberRoleChanged(let id, let role, let demotions):
            members[id]?.role = role
            if let demotions { members[id]?.demotions = demotions }
        case .memberRemoved(let id, _): members[id] = nil
        case .deleted: return .deleted
        }
        return .active(name: name, members: members, quotas: quotas)
    }

    /// Members come and go for years.
    package static func condensed(_ state: State) -> [GroupEvent]? {
        switch state {
        case .absent: []
        case .active(let name, let members, let quotas):
            [.created(name: name)] + (quotas == GroupQuotas() ? [] : [.quotasChanged(quotas)])
                + members.values.sorted { $0.id < $1.id }.map { .memberAdded($0) }
        case .deleted: [.created(name: ""), .deleted]
        }
    }
}

extension StreamID {
    package static let groupCategory = "group"
    package static func group(_ id: GroupID) -> StreamID { StreamID(category: groupCategory, id: id.rawValue) }
}
