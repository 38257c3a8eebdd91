package import ComputeCore
package import EventSourcing

/// Somebody whom an issuer of tokens vouches for, as a member of a group.
package struct GroupMember: Hashable, Sendable {
    package var id: String
    package var subject: Subject
    /// For whoever reads the list.
    package var name: String?
    package var role: Role
    /// How often his role has sunk. Each time ends the tokens of computes that came of him, so they name it.
    package var demotions: Int

    package init(id: String, subject: Subject, name: String? = nil, role: Role, demotions: Int = 0) {
        self.id = id
        self.demotions = demotions
        self.subject = subject
        self.name = name
        self.role = role
    }
}

/// Who somebody is, wherever he is a member: `iss` and `sub` of his tokens. Another issuer's same `sub` is another one.
package struct Subject: Hashable, Sendable {
    package var issuer: String
    package var name: String

    package init(issuer: String, name: String) {
        self.issuer = issuer
        self.name = name
    }
}

/// What can happen to a group and to who is in it.
package enum GroupEvent: Hashable, Sendable {
    case created(name: String)
    case renamed(name: String)
    case memberAdded(GroupMember)
    /// `demotions` only when the role sank.
    case memberRoleChanged(id: String, role: Role, demotions: Int?)
    case memberRemoved(id: String, demotions: Int)
    /// All that it has for itself from now on; of what is absent as much as is usual.
    case quotasChanged(GroupQuotas)
    case deleted
}

extension GroupEvent: DomainEvent {
    package enum TypeName: String, Sendable, CaseIterable {
        case created = "GroupCreated"
        case renamed = "GroupRenamed"
        case memberAdded = "MemberAdded"
        case memberRoleChanged = "MemberRoleChanged"
        case memberRemoved = "MemberRemoved"
        case quotasChanged = "GroupQuotasChanged"
        case deleted = "GroupDeleted"
    }

    package var recorded: NewEvent {
        switch self {
        case .created(let name): Self.event(.created, ["name": .string(name)])
        case .renamed(let name): Self.event(.renamed, ["name": .string(name)])
        case .memberAdded(let member): Self.event(.memberAdded, member.fields)
        case .memberRoleChanged(let id, let role, let demotions):
            Self.event(
                .memberRoleChanged,
                ["memberId": .string(id), "role": .string(role.rawValue)].with(demotions: demotions ?? 0))
        case .memberRemoved(let id, let demotions):
            Self.event(.memberRemoved, ["memberId": .string(id)].with(demotions: demotions))
        case .quotasChanged(let quotas): Self.event(.quotasChanged, ["quotas": .object(quotas.document)])
        case .deleted: Self.event(.deleted, [:])
        }
    }

    private static func event(_ name: TypeName, _ fields: [String: JSONValue]) -> NewEvent {
        NewEvent(type: name.rawValue, data: .object(fields))
    }

    package init?(type: String, data: JSONValue) throws(EventStoreError) {
        guard let name = TypeName(rawValue: type) else { return nil }
        do throws(Problem) {
            let fields = try FieldReader(data)
            switch name {
            case .created: self = .created(name: try fields.requiredString("name"))
            case .renamed: self = .renamed(name: try fields.requiredString("name"))
            case .memberAdded: self = .memberAdded(try GroupMember(fields))
            case .memberRoleChanged:
                self = .memberRoleChanged(
                    id: try fields.requiredString("memberId"),
                    role: try Role(checked: try fields.requiredString("role"), "role"),
                    demotions: try fields.demotions())
            case .memberRemoved:
                self = .memberRemoved(
                    id: try fields.requiredString("memberId"), demotions: try fields.demotions() ?? 0)
            case .quotasChanged:
                guard let quotas = try fields.object("quotas") else {
                    throw Problem.invalid("quotas", "quotas is required")
                }
                self = .quotasChanged(try GroupQuotas(FieldReader(quotas, prefix: "quotas")))
            case .deleted: self = .deleted
            }
        } catch {
            throw EventStoreError(.corrupt, "the data of a \(type) do not fit: \(error.message)", cause: error)
        }
    }
}

extension GroupMember {
    var fields: [String: JSONValue] {
        var fields: [String: JSONValue] = [
            "memberId": .string(id), "issuer": .string(subject.issuer), "subject": .string(subject.name),
            "role": .string(role.rawValue),
        ]
        fields["name"] = name.map(JSONValue.string)
        return fields.with(demotions: demotions)
    }

    init(_ fields: FieldReader) throws(Problem) {
        self.init(
            id: try fields.requiredString("memberId"),
            subject: Subject(
                issuer: try fields.requiredString("issuer"), name: try fields.requiredString("subject")),
            name: try fields.string("name"), role: try Role(checked: try fields.requiredString("role"), "role"),
            demotions: try fields.demotions() ?? 0)
    }
}

extension [String: JSONValue] {
    /// None is not written.
    fileprivate func with(demotions: Int) -> [String: JSONValue] {
        demotions == 0 ? self : merging(["demotions": .int(Int64(demotions))]) { $1 }
    }
}

extension FieldReader {
    fileprivate func demotions() throws(Problem) -> Int? {
        try integer("demotions", in: 1...Origin.mostDemotions).map { Int($0) }
    }
}
