package import ComputeCore
package import EventSourcing

/// What can happen to an API key. Its hash is a private row: it never enters the log.
package enum APIKeyEvent: Hashable, Sendable {
    /// `prefix` is the part of the key that people recognise it by.
    case created(keyID: String, label: String, prefix: String)
    case revoked
}

extension APIKeyEvent: DomainEvent {
    package var recorded: NewEvent {
        switch self {
        case .created(let keyID, let label, let prefix):
            NewEvent(
                type: "APIKeyCreated",
                data: .object(["keyID": .string(keyID), "label": .string(label), "prefix": .string(prefix)]))
        case .revoked: NewEvent(type: "APIKeyRevoked", data: .object([:]))
        }
    }

    package init?(type: String, data: JSONValue) throws(EventStoreError) {
        do throws(Problem) {
            switch type {
            case "APIKeyCreated":
                let fields = try FieldReader(data)
                self = .created(
                    keyID: try fields.requiredString("keyID"), label: try fields.requiredString("label"),
                    prefix: try fields.requiredString("prefix"))
            case "APIKeyRevoked":
                _ = try FieldReader(data)
                self = .revoked
            default: return nil
            }
        } catch {
            throw EventStoreError(.corrupt, "the data of a \(type) do not fit: \(error.message)", cause: error)
        }
    }
}

/// The life of an API key: absent → active → revoked.
package enum APIKeyLife: Aggregate {
    package typealias Event = APIKeyEvent

    package enum State: Hashable, Sendable { case absent, active, revoked }
    package enum Command: Hashable, Sendable {
        case create(keyID: String, label: String, prefix: String)
        case revoke
    }
    package enum Rejection: Error, Hashable, Sendable { case absent, alreadyCreated }

    package static let initial = State.absent

    package static func decide(_ command: Command, _ state: State) throws(Rejection) -> [APIKeyEvent] {
        switch (command, state) {
        case (.create(let keyID, let label, let prefix), .absent):
            return [.created(keyID: keyID, label: label, prefix: prefix)]
        case (.create, .active), (.create, .revoked): throw .alreadyCreated
        case (.revoke, .absent): throw .absent
        case (.revoke, .active): return [.revoked]
        case (.revoke, .revoked): return []
        }
    }

    package static func evolve(_ state: State, _ event: APIKeyEvent) -> State {
        switch event {
        case .created: state == .absent ? .active : state
        case .revoked: state == .active ? .revoked : state
        }
    }
}

extension StreamID {
    package static func apiKey(_ keyID: String) -> StreamID { StreamID(category: "apikey", id: keyID) }
}

extension PrivateRow {
    package static let apiKeyKind = "api_key"

    /// What a request's key is looked up by. A revoked key keeps its row, with `revoked` set.
    package static func apiKey(hash: String, keyID: String, in group: GroupID, revoked: Bool = false) -> PrivateRow {
        var value: [String: JSONValue] = ["id": .string(keyID)]
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
}
