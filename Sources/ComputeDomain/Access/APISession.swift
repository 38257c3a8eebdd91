package import ComputeCore
package import EventSourcing

/// What a session of the API was bought for. Other than a `SessionToken` it opens no compute; it stands for the
/// credential that bought it, with no more power and for a shorter time.
package struct APISessionGrant: Hashable, Sendable {
    package var id: String
    /// Whose it is: the key or the member that bought it. It ends with that.
    package var owner: AccessRecord.ID
    package var authority: Authority
    package var description: String?
    package var createdAt: WallTime
    package var expiresAt: WallTime

    package init(
        id: String, owner: AccessRecord.ID, authority: Authority, description: String? = nil, createdAt: WallTime,
        expiresAt: WallTime
    ) {
        self.id = id
        self.owner = owner
        self.authority = authority
        self.authority.expiresAt = expiresAt
        self.description = description
        self.createdAt = createdAt
        self.expiresAt = expiresAt
    }
}

/// What can happen to a session of the API. Its token is signed and never stored.
package enum APISessionEvent: Hashable, Sendable {
    case created(APISessionGrant)
    /// Until when it would have been good, for who must refuse it.
    case revoked(expiresAt: WallTime)
}

extension APISessionEvent: DomainEvent {
    package enum TypeName: String, Sendable, CaseIterable {
        case created = "SessionCreated"
        case revoked = "SessionRevoked"
    }

    package var recorded: NewEvent {
        switch self {
        case .created(let grant): NewEvent(type: TypeName.created.rawValue, data: .object(grant.fields))
        case .revoked(let expiresAt):
            NewEvent(type: TypeName.revoked.rawValue, data: .object(["expiresAt": .string(expiresAt.rfc3339)]))
        }
    }

    package init?(type: String, data: JSONValue) throws(EventStoreError) {
        guard let name = TypeName(rawValue: type) else { return nil }
        do throws(Problem) {
            let reader = EventDataReader(try FieldReader(data))
            switch name {
            case .created: self = .created(try APISessionGrant(reader))
            case .revoked: self = .revoked(expiresAt: try reader.time("expiresAt"))
            }
        } catch {
            throw EventStoreError(.corrupt, "the data of a \(type) do not fit: \(error.message)", cause: error)
        }
    }
}

extension APISessionGrant {
    var fields: [String: JSONValue] {
        var fields = authority.fields
        fields["sessionId"] = .string(id)
        fields["owner"] = .string(owner.description)
        fields["description"] = description.map(JSONValue.string)
        fields["createdAt"] = .string(createdAt.rfc3339)
        return fields
    }

    init(_ reader: EventDataReader) throws(Problem) {
        guard let owner = AccessRecord.ID(try reader.fields.requiredString("owner")) else {
            throw .invalid("owner", "owner must be the id of a record")
        }
        self.init(
            id: try reader.fields.requiredString("sessionId"), owner: owner, authority: try Authority(reader),
            description: try reader.fields.string("description"), createdAt: try reader.time("createdAt"),
            expiresAt: try reader.time("expiresAt"))
    }
}

/// The life of a session: absent → active → revoked. Its time is in its first event.
package enum APISession: Aggregate {
    package typealias Event = APISessionEvent

    package enum State: Hashable, Sendable {
        /// Nothing was ever recorded. Becomes active.
        case absent
        /// Good until its time is over. Becomes revoked.
        case active(APISessionGrant)
        /// Over for good.
        case revoked
    }

    package enum Command: Hashable, Sendable {
        case create(APISessionGrant)
        case revoke(at: WallTime)
    }

    package enum Rejection: Error, Hashable, Sendable { case absent, alreadyCreated }

    package static let initial = State.absent

    package static func decide(_ command: Command, _ state: State) throws(Rejection) -> [APISessionEvent] {
        switch (command, state) {
        case (.create(let grant), .absent): return [.created(grant)]
        case (.create, .active), (.create, .revoked): throw .alreadyCreated
        case (.revoke, .absent): throw .absent
        case (.revoke(let now), .active(let grant)):
            // What is over needs no end.
            return grant.expiresAt <= now ? [] : [.revoked(expiresAt: grant.expiresAt)]
        case (.revoke, .revoked): return []
        }
    }

    package static func evolve(_ state: State, _ event: APISessionEvent) -> State {
        switch (event, state) {
        case (.created(let grant), .absent): .active(grant)
        case (.revoked, .active): .revoked
        case (.created, .active), (.created, .revoked), (.revoked, .absent), (.revoked, .revoked): state
        }
    }
}

extension StreamID {
    package static let apiSessionCategory = "apisession"
    package static func apiSession(_ id: String) -> StreamID { StreamID(category: apiSessionCategory, id: id) }
}
