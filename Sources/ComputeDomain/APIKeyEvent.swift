package import ComputeCore
package import EventSourcing

/// What an API key was made for.
package struct KeyGrant: Hashable, Sendable {
    package var id: String
    /// For whoever reads the list.
    package var label: String
    /// The part of the key that people recognise it by.
    package var prefix: String
    package var authority: Authority
    /// The member whose key it is: it is good while he is one, and for no more than he may. nil: the group's own.
    package var member: String?

    package init(
        id: String, label: String, prefix: String, authority: Authority = Authority(role: .owner), member: String? = nil
    ) {
        self.id = id
        self.label = label
        self.prefix = prefix
        self.authority = authority
        self.member = member
    }
}

/// What can happen to an API key. Its hash is a private row: it never enters the log.
package enum APIKeyEvent: Hashable, Sendable {
    case created(KeyGrant)
    /// It has another secret, the `number`th; the one before stays good until then.
    case rotated(number: Int, prefix: String, overlapUntil: WallTime)
    case revoked
}

extension APIKeyEvent: DomainEvent {
    package enum TypeName: String, Sendable, CaseIterable {
        case created = "APIKeyCreated"
        case rotated = "APIKeyRotated"
        case revoked = "APIKeyRevoked"
    }

    package var recorded: NewEvent {
        switch self {
        case .created(let grant):
            var fields = grant.authority.fields
            fields["keyID"] = .string(grant.id)
            fields["label"] = .string(grant.label)
            fields["prefix"] = .string(grant.prefix)
            fields["member"] = grant.member.map(JSONValue.string)
            return NewEvent(type: TypeName.created.rawValue, data: .object(fields))
        case .rotated(let number, let prefix, let overlapUntil):
            return NewEvent(
                type: TypeName.rotated.rawValue,
                data: .object([
                    "number": .int(Int64(number)), "prefix": .string(prefix),
                    "overlapUntil": .string(overlapUntil.rfc3339),
                ]))
        case .revoked: return NewEvent(type: TypeName.revoked.rawValue, data: .object([:]))
        }
    }

    package init?(type: String, data: JSONValue) throws(EventStoreError) {
        guard let name = TypeName(rawValue: type) else { return nil }
        do throws(Problem) {
            let reader = EventDataReader(try FieldReader(data))
            switch name {
            case .created: self = .created(try KeyGrant(reader))
            case .rotated:
                self = .rotated(
                    number: Int(try reader.integer("number", in: 2...Int64(Int32.max))),
                    prefix: try reader.fields.requiredString("prefix"), overlapUntil: try reader.time("overlapUntil"))
            case .revoked: self = .revoked
            }
        } catch {
            throw EventStoreError(.corrupt, "the data of a \(type) do not fit: \(error.message)", cause: error)
        }
    }
}

extension KeyGrant {
    fileprivate func with(_ prefix: String) -> KeyGrant {
        KeyGrant(id: id, label: label, prefix: prefix, authority: authority, member: member)
    }

    init(_ reader: EventDataReader) throws(Problem) {
        self.init(
            id: try reader.fields.requiredString("keyID"), label: try reader.fields.requiredString("label"),
            prefix: try reader.fields.requiredString("prefix"), authority: try Authority(reader),
            member: try reader.fields.string("member"))
    }
}

/// The life of an API key.
///
/// ```
///   absent ── create ──▶ active ⟲ rotate ── revoke ──▶ revoked
///                          └ (its time passes: no event, the time is in the first one)
/// ```
package enum APIKeyLife: Aggregate {
    package typealias Event = APIKeyEvent

    package enum State: Hashable, Sendable {
        /// Nothing was ever recorded. Becomes active.
        case absent
        /// `secret` counts its secrets from 1.
        case active(KeyGrant, secret: Int)
        /// Over for good.
        case revoked
    }
    package enum Command: Hashable, Sendable {
        case create(KeyGrant)
        case rotate(prefix: String, overlapUntil: WallTime)
        case revoke
    }
    package enum Rejection: Error, Hashable, Sendable { case absent, alreadyCreated, revoked }

    package static let initial = State.absent

    package static func decide(_ command: Command, _ state: State) throws(Rejection) -> [APIKeyEvent] {
        switch (command, state) {
        case (.create(let grant), .absent): return [.created(grant)]
        case (.create, .active), (.create, .revoked): throw .alreadyCreated
        case (.rotate, .absent), (.revoke, .absent): throw .absent
        case (.rotate(let prefix, let overlapUntil), .active(_, let secret)):
            return [.rotated(number: secret + 1, prefix: prefix, overlapUntil: overlapUntil)]
        case (.rotate, .revoked): throw .revoked
        case (.revoke, .active): return [.revoked]
        case (.revoke, .revoked): return []
        }
    }

    package static func evolve(_ state: State, _ event: APIKeyEvent) -> State {
        switch (event, state) {
        case (.created(let grant), .absent): .active(grant, secret: 1)
        case (.rotated(let number, let prefix, _), .active(let grant, _)): .active(grant.with(prefix), secret: number)
        case (.revoked, .active): .revoked
        case (.created, .active), (.created, .revoked), (.rotated, .absent), (.rotated, .revoked), (.revoked, .absent),
            (.revoked, .revoked):
            state
        }
    }
}

extension StreamID {
    package static let apiKeyCategory = "apikey"
    package static func apiKey(_ keyID: String) -> StreamID { StreamID(category: apiKeyCategory, id: keyID) }
}

extension PrivateRow {
    package static let apiKeyKind = "api_key"

    /// What a request's key is looked up by: which key it is, and which of its secrets. Whether that is still good says
    /// the key's record.
    package static func apiKey(
        hash: String, keyID: String, in group: GroupID, secret: Int = 1, revoked: Bool = false
    ) -> PrivateRow {
        var value: [String: JSONValue] = ["id": .string(keyID)]
        if secret > 1 { value["secret"] = .int(Int64(secret)) }
        if revoked { value["revoked"] = .bool(true) }
        return PrivateRow(kind: apiKeyKind, key: hash, group: group, value: .object(value))
    }

    /// The id of the API key in this row; nil when it was revoked, or the row is none of a key.
    package var activeAPIKeyID: String? {
        guard kind == Self.apiKeyKind, case .object(let fields) = value, case .string(let id)? = fields["id"],
            fields["revoked"] == nil || fields["revoked"] == .bool(false)
        else { return nil }
        return id
    }

    /// Which of the key's secrets this is.
    package var apiKeySecret: Int {
        guard case .object(let fields) = value, case .int(let number)? = fields["secret"] else { return 1 }
        return Int(clamping: number)
    }
}
