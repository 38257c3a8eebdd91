package import ComputeCore
package import EventSourcing

extension AccessRecord {
    package enum Change: Hashable, Sendable {
        case put(AccessRecord)
        case remove(ID)
        /// All that is the group's, itself included.
        case removeAll(of: GroupID)
        /// Sessions that are over by then: no event says so.
        case forgetSessions(by: WallTime)
    }

    /// Pure, so that a rebuild gives the same records as the transactions did.
    /// - Parameter current: the record as it is, if it is.
    package static func changes(
        _ event: RecordedEvent, current: (ID) throws -> AccessRecord?
    ) throws -> [Change] {
        guard case .object(let data) = event.data else { return [] }
        switch event.stream.category {
        case StreamID.groupCategory:
            switch try GroupEvent(type: event.type, data: event.data) {
            case nil: return []
            case .created:
                return [
                    .put(
                        AccessRecord(
                            id: ID(.group, event.stream.id), group: event.group, createdAt: event.occurredAt, body: data
                        ))
                ]
            case .renamed: return try changed(ID(.group, event.stream.id), by: data, current)
            case .memberAdded(let member):
                return [
                    .put(
                        AccessRecord(
                            id: ID(.member, member.id), group: event.group, owner: member.subject.ownerText,
                            createdAt: event.occurredAt, body: data))
                ]
            case .memberRoleChanged(let id, _, _): return try changed(ID(.member, id), by: data, current)
            case .memberRemoved(let id, _): return [.remove(ID(.member, id))]
            // Kept by the counters that it is about.
            case .quotasChanged: return []
            case .deleted: return [.removeAll(of: event.group)]
            }
        case StreamID.apiKeyCategory:
            let id = ID(.key, event.stream.id)
            switch try APIKeyEvent(type: event.type, data: event.data) {
            case nil: return []
            case .created(let grant):
                return [
                    .put(
                        AccessRecord(
                            id: id, group: event.group, owner: grant.member.map { ID(.member, $0).description },
                            createdAt: event.occurredAt, expiresAt: grant.authority.expiresAt, body: data))
                ]
            case .rotated: return try changed(id, by: data, current)
            case .revoked: return [.remove(id)]
            }
        case StreamID.apiSessionCategory:
            let id = ID(.session, event.stream.id)
            switch try APISessionEvent(type: event.type, data: event.data) {
            case nil: return []
            case .created(let grant):
                return [
                    .forgetSessions(by: event.occurredAt),
                    .put(
                        AccessRecord(
                            id: id, group: event.group, owner: grant.owner.description, createdAt: grant.createdAt,
                            expiresAt: grant.expiresAt, body: data)),
                ]
            case .revoked: return [.remove(id)]
            }
        default: return []
        }
    }

    private static func changed(
        _ id: ID, by data: [String: JSONValue], _ current: (ID) throws -> AccessRecord?
    ) throws -> [Change] {
        guard var record = try current(id) else { return [] }
        record.body.merge(data) { $1 }
        return [.put(record)]
    }
}
