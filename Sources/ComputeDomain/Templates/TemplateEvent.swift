package import ComputeCore
package import EventSourcing

/// What can happen to a template.
package enum TemplateEvent: Hashable, Sendable {
    /// It is at revision 1.
    case created(TemplateSpec)
    case revised(TemplateSpec, revision: Int64)
    case deleted
}

extension TemplateEvent: DomainEvent {
    package enum TypeName: String, Sendable, CaseIterable {
        case created = "TemplateCreated"
        case revised = "TemplateRevised"
        case deleted = "TemplateDeleted"
    }

    package var recorded: NewEvent {
        let (type, fields): (TypeName, [String: JSONValue]) =
            switch self {
            case .created(let spec): (.created, spec.fields(revision: 1))
            case .revised(let spec, let revision): (.revised, spec.fields(revision: revision))
            case .deleted: (.deleted, [:])
            }
        return NewEvent(type: type.rawValue, data: .object(fields))
    }

    package init?(type: String, data: JSONValue) throws(EventStoreError) {
        guard let name = TypeName(rawValue: type) else { return nil }
        do throws(Problem) {
            let reader = EventDataReader(try FieldReader(data))
            switch name {
            case .created: self = .created(try reader.templateSpec())
            case .revised:
                self = .revised(
                    try reader.templateSpec(), revision: try reader.integer("revision", in: 2...Int64.max))
            case .deleted: self = .deleted
            }
        } catch {
            throw EventStoreError(.corrupt, "the data of a \(type) do not fit: \(error.message)", cause: error)
        }
    }
}

extension TemplateSpec {
    fileprivate func fields(revision: Int64) -> [String: JSONValue] {
        [
            "name": .string(name), "description": .string(description), "revision": .int(revision),
            "defaults": .object(defaults),
        ]
    }
}

extension EventDataReader {
    fileprivate func templateSpec() throws(Problem) -> TemplateSpec {
        TemplateSpec(
            name: try fields.requiredString("name"), description: try fields.string("description") ?? "",
            defaults: try fields.object("defaults") ?? [:])
    }
}
