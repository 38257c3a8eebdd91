package import ComputeCore
package import EventSourcing

/// What a session token was made for.
package struct SessionGrant: Hashable, Sendable {
    package var computeID: ComputeID
    /// For whoever reads the list.
    package var description: String?
    /// The link that it came of, if one did.
    package var magicLink: MagicLinkID?
    /// A whole second, like the next one: a JWT knows no other times.
    package var createdAt: WallTime
    package var expiresAt: WallTime

    package init(
        computeID: ComputeID, description: String? = nil, magicLink: MagicLinkID? = nil, createdAt: WallTime,
        lifetime: Duration, until end: WallTime? = nil
    ) {
        self.computeID = computeID
        self.description = description
        self.magicLink = magicLink
        self.createdAt = WallTime(milliseconds: createdAt.milliseconds / 1000 * 1000)
        let wanted = self.createdAt + lifetime
        self.expiresAt = end.map { min($0, wanted) } ?? wanted
    }
}

/// What can happen to a session token. The token itself, which is signed and never stored, is not among it.
package enum SessionTokenEvent: Hashable, Sendable {
    case created(SessionGrant)
    /// Says what the token was, so that a reader of the feed needs nothing else to refuse it for as long as it would
    /// have been good.
    case revoked(ComputeID, expiresAt: WallTime)
}

extension SessionTokenEvent: DomainEvent {
    package enum TypeName: String, Sendable, CaseIterable {
        case created = "SessionTokenCreated"
        case revoked = "SessionTokenRevoked"
    }

    package var recorded: NewEvent {
        switch self {
        case .created(let grant):
            let fields: [String: JSONValue?] = [
                "computeId": .string(grant.computeID.rawValue),
                "description": grant.description.map(JSONValue.string),
                "magicLinkId": grant.magicLink.map { .string($0.rawValue) },
                "createdAt": .string(grant.createdAt.rfc3339),
                "expiresAt": .string(grant.expiresAt.rfc3339),
            ]
            return NewEvent(type: TypeName.created.rawValue, data: .object(fields.compactMapValues { $0 }))
        case .revoked(let id, let expiresAt):
            return NewEvent(
                type: TypeName.revoked.rawValue,
                data: .object(["computeId": .string(id.rawValue), "expiresAt": .string(expiresAt.rfc3339)]))
        }
    }

    package init?(type: String, data: JSONValue) throws(EventStoreError) {
        guard let name = TypeName(rawValue: type) else { return nil }
        do throws(Problem) {
            let reader = EventDataReader(try FieldReader(data))
            let (id, expiresAt) = (try reader.computeID("computeId"), try reader.time("expiresAt"))
            switch name {
            case .created:
                let createdAt = try reader.time("createdAt")
                self = .created(
                    SessionGrant(
                        computeID: id, description: try reader.fields.string("description"),
                        magicLink: try reader.fields.string("magicLinkId").flatMap { MagicLinkID($0) },
                        createdAt: createdAt, lifetime: expiresAt - createdAt))
            case .revoked: self = .revoked(id, expiresAt: expiresAt)
            }
        } catch {
            throw EventStoreError(.corrupt, "the data of a \(type) do not fit: \(error.message)", cause: error)
        }
    }
}

extension EventDataReader {
    func computeID(_ name: String) throws(Problem) -> ComputeID {
        guard let id = ComputeID(try fields.requiredString(name)) else {
            throw .invalid(name, "\(name) must be the id of a compute")
        }
        return id
    }
}
