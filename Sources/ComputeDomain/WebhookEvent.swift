package import ComputeCore
package import EventSourcing

/// What a webhook is told of, and where. The whole URL is a private row: its path is often a password.
package struct WebhookSpec: Hashable, Sendable {
    /// `https://host` or `https://host:port`.
    package var origin: String
    /// The event types that are sent; empty for all.
    package var types: [String]
    package var description: String?
    package var isActive: Bool

    package init(origin: String, types: [String] = [], description: String? = nil, isActive: Bool = true) {
        self.origin = origin
        self.types = types
        self.description = description
        self.isActive = isActive
    }
}

/// What can happen to a webhook.
package enum WebhookEvent: Hashable, Sendable {
    case created(WebhookSpec)
    case changed(WebhookSpec)
    /// From then on the new secret signs; the one before it signs as well until then.
    case secretRotated(version: Int, previousUntil: WallTime)
    /// By us, because nothing could be delivered.
    case disabled(WebhookDisableReason)
    case deleted
}

/// The raw values are in the log and on the wire: a value is added, never renamed.
package enum WebhookDisableReason: String, Hashable, Sendable, CaseIterable {
    /// The receiver said 410: there will be nobody any more.
    case gone
    /// As much as may be kept has failed for good.
    case tooManyFailures = "too_many_failures"
}

extension WebhookEvent: DomainEvent {
    package enum TypeName: String, Sendable, CaseIterable {
        case created = "WebhookCreated"
        case changed = "WebhookChanged"
        case secretRotated = "WebhookSecretRotated"
        case disabled = "WebhookDisabled"
        case deleted = "WebhookDeleted"
    }

    package var recorded: NewEvent {
        switch self {
        case .created(let spec): NewEvent(type: TypeName.created.rawValue, data: spec.document)
        case .changed(let spec): NewEvent(type: TypeName.changed.rawValue, data: spec.document)
        case .secretRotated(let version, let until):
            NewEvent(
                type: TypeName.secretRotated.rawValue,
                data: .object(["secretVersion": .int(Int64(version)), "previousUntil": .string(until.rfc3339)]))
        case .disabled(let reason):
            NewEvent(type: TypeName.disabled.rawValue, data: .object(["reason": .string(reason.rawValue)]))
        case .deleted: NewEvent(type: TypeName.deleted.rawValue, data: .object([:]))
        }
    }

    package init?(type: String, data: JSONValue) throws(EventStoreError) {
        guard let name = TypeName(rawValue: type) else { return nil }
        do throws(Problem) {
            let reader = EventDataReader(try FieldReader(data))
            switch name {
            case .created: self = .created(try WebhookSpec(reader))
            case .changed: self = .changed(try WebhookSpec(reader))
            case .secretRotated:
                self = .secretRotated(
                    version: Int(try reader.integer("secretVersion", in: 1...Int64(Int32.max))),
                    previousUntil: try reader.time("previousUntil"))
            case .disabled:
                guard let reason = WebhookDisableReason(rawValue: try reader.fields.requiredString("reason")) else {
                    throw Problem.invalid("reason", "reason is not one that is known")
                }
                self = .disabled(reason)
            case .deleted: self = .deleted
            }
        } catch {
            throw EventStoreError(.corrupt, "the data of a \(type) do not fit: \(error.message)", cause: error)
        }
    }
}

extension WebhookSpec {
    fileprivate var document: JSONValue {
        let fields: [String: JSONValue?] = [
            "origin": .string(origin), "types": .array(types.map(JSONValue.string)),
            "description": description.map(JSONValue.string), "isActive": .bool(isActive),
        ]
        return .object(fields.compactMapValues { $0 })
    }

    fileprivate init(_ reader: EventDataReader) throws(Problem) {
        self.init(
            origin: try reader.fields.requiredString("origin"), types: try reader.strings("types"),
            description: try reader.fields.string("description"), isActive: try reader.fields.bool("isActive") ?? true)
    }
}

extension StreamID {
    package static let webhookCategory = "webhook"
    package static func webhook(_ id: WebhookID) -> StreamID { StreamID(category: webhookCategory, id: id.rawValue) }
}
