package import ComputeCore
package import EventSourcing

/// What can happen to a magic link. What opens it, and where it leads, are a private row.
package enum MagicLinkEvent: Hashable, Sendable {
    case created(ComputeID, expiresAt: WallTime)
    /// Somebody came with it, and left with this session.
    case used(ComputeID, session: SessionID)
}

extension MagicLinkEvent: DomainEvent {
    package enum TypeName: String, Sendable, CaseIterable {
        case created = "MagicLinkCreated"
        case used = "MagicLinkUsed"
    }

    package var recorded: NewEvent {
        switch self {
        case .created(let id, let expiresAt):
            NewEvent(
                type: TypeName.created.rawValue,
                data: .object(["computeId": .string(id.rawValue), "expiresAt": .string(expiresAt.rfc3339)]))
        case .used(let id, let session):
            NewEvent(
                type: TypeName.used.rawValue,
                data: .object(["computeId": .string(id.rawValue), "sessionId": .string(session.rawValue)]))
        }
    }

    package init?(type: String, data: JSONValue) throws(EventStoreError) {
        guard let name = TypeName(rawValue: type) else { return nil }
        do throws(Problem) {
            let reader = EventDataReader(try FieldReader(data))
            let id = try reader.computeID("computeId")
            switch name {
            case .created: self = .created(id, expiresAt: try reader.time("expiresAt"))
            case .used:
                guard let session = SessionID(try reader.fields.requiredString("sessionId")) else {
                    throw Problem.invalid("sessionId", "sessionId must be the id of a session")
                }
                self = .used(id, session: session)
            }
        } catch {
            throw EventStoreError(.corrupt, "the data of a \(type) do not fit: \(error.message)", cause: error)
        }
    }
}

/// The life of a magic link: absent → open → used. An open one is of no use once its time is over.
package enum MagicLink: Aggregate {
    package typealias Event = MagicLinkEvent

    package enum State: Hashable, Sendable {
        case absent
        /// Good for one use until then. Becomes used.
        case open(ComputeID, expiresAt: WallTime)
        /// Over for good.
        case used
    }

    package enum Command: Hashable, Sendable {
        case create(ComputeID, expiresAt: WallTime)
        /// - `on`: whose address it was used at.
        case use(on: ComputeID, session: SessionID, at: WallTime)
    }

    package enum Rejection: Error, Hashable, Sendable { case absent, alreadyCreated, ofAnotherCompute, used, expired }

    package static let initial = State.absent

    package static func decide(_ command: Command, _ state: State) throws(Rejection) -> [MagicLinkEvent] {
        switch (command, state) {
        case (.create(let id, let expiresAt), .absent): return [.created(id, expiresAt: expiresAt)]
        case (.create, .open), (.create, .used): throw .alreadyCreated
        case (.use, .absent): throw .absent
        case (.use, .used): throw .used
        case (.use(let computeID, let session, let now), .open(let own, let expiresAt)):
            guard computeID == own else { throw .ofAnotherCompute }
            guard now < expiresAt else { throw .expired }
            return [.used(own, session: session)]
        }
    }

    package static func evolve(_ state: State, _ event: MagicLinkEvent) -> State {
        switch (event, state) {
        case (.created(let id, let expiresAt), .absent): .open(id, expiresAt: expiresAt)
        case (.used, .open): .used
        case (.created, .open), (.created, .used), (.used, .absent), (.used, .used): state
        }
    }
}

extension StreamID {
    package static let magicLinkCategory = "magiclink"
    package static func magicLink(_ id: MagicLinkID) -> StreamID {
        StreamID(category: magicLinkCategory, id: id.rawValue)
    }
}

extension PrivateRow {
    package static let magicLinkKind = "magic_link"

    /// What a visit is looked up by. Forgotten once the link is over.
    package static func magicLink(
        hash: String, id: MagicLinkID, in group: GroupID, redirect: String, origins: [String] = [],
        expiresAt: WallTime
    ) -> PrivateRow {
        var value: [String: JSONValue] = ["id": .string(id.rawValue), "redirect": .string(redirect)]
        if !origins.isEmpty { value["origins"] = .array(origins.map(JSONValue.string)) }
        return PrivateRow(
            kind: magicLinkKind, key: hash, group: group, value: .object(value), expiresAt: expiresAt)
    }

    /// The credentials that the link came of: its session ends with any of them.
    package var magicLinkOrigins: [String] {
        guard case .object(let fields) = value, case .array(let list)? = fields["origins"] else { return [] }
        return list.compactMap { if case .string(let id) = $0 { id } else { nil } }
    }

    /// The link of this row and where it leads.
    package var magicLink: (id: MagicLinkID, redirect: String)? {
        guard kind == Self.magicLinkKind, case .object(let fields) = value, case .string(let text)? = fields["id"],
            let id = MagicLinkID(text), case .string(let redirect)? = fields["redirect"]
        else { return nil }
        return (id, redirect)
    }
}
