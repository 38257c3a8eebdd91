import ComputeCore
import ComputeDomain
import EventSourcing

extension QuotaReport {
    func view() -> [String: JSONValue] {
        [
            "groupId": .string(group.rawValue), "quotas": .object(quotas.document), "own": .object(own.document),
            "used": .object(
                Dictionary(uniqueKeysWithValues: used.map { ($0.key.rawValue, $0.key.value($0.value)) })),
        ]
    }
}

// What answers say of groups, members, keys and sessions: what is named here, and nothing else.
extension AccessRecord {
    func view() throws(EventStoreError) -> [String: JSONValue] {
        switch id.kind {
        case .group: return ["groupId": .string(id.id), "name": .string(name ?? ""), "createdAt": time(createdAt)]
        case .member:
            let member = try member()
            var view: [String: JSONValue] = [
                "memberId": .string(id.id), "groupId": .string(group.rawValue),
                "issuer": .string(member.subject.issuer), "subject": .string(member.subject.name),
                "role": .string(member.role.rawValue), "createdAt": time(createdAt),
            ]
            view["name"] = member.name.map(JSONValue.string)
            view["lastUsedAt"] = lastUsedAt.map(time)
            return view
        case .key:
            let key = try key()
            var view = powers(key.authority)
            view["keyId"] = .string(id.id)
            view["label"] = .string(key.label)
            view["prefix"] = .string(key.prefix)
            view["memberId"] = key.member.map(JSONValue.string)
            view["overlapUntil"] = overlapUntil.map(time)
            return view
        case .session:
            let session = try session()
            var view = powers(session.authority)
            view["sessionId"] = .string(id.id)
            view["owner"] = .string(session.owner.description)
            view["description"] = session.description.map(JSONValue.string)
            return view
        }
    }

    private func powers(_ authority: Authority) -> [String: JSONValue] {
        var view: [String: JSONValue] = [
            "groupId": .string(group.rawValue), "role": .string(authority.role.rawValue), "createdAt": time(createdAt),
        ]
        view["scopes"] = authority.scopes.map { .array($0.map(\.rawValue).sorted().map(JSONValue.string)) }
        view["expiresAt"] = expiresAt.map(time)
        view["lastUsedAt"] = lastUsedAt.map(time)
        return view
    }

    private func time(_ time: WallTime) -> JSONValue { .string(time.rfc3339) }
}
