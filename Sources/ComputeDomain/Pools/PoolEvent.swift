package import ComputeCore
package import EventSourcing

/// What can happen to a pool.
package enum PoolEvent: Hashable, Sendable {
    /// It is at revision 1.
    case created(PoolSpec)
    case changed(PoolSpec, revision: Int64)
    case deleted
}

extension PoolEvent: DomainEvent {
    package enum TypeName: String, Sendable, CaseIterable {
        case created = "PoolCreated"
        case changed = "PoolChanged"
        case deleted = "PoolDeleted"
    }

    package var recorded: NewEvent {
        let (type, fields): (TypeName, [String: JSONValue]) =
            switch self {
            case .created(let spec): (.created, spec.fields(revision: 1))
            case .changed(let spec, let revision): (.changed, spec.fields(revision: revision))
            case .deleted: (.deleted, [:])
            }
        return NewEvent(type: type.rawValue, data: .object(fields))
    }

    package init?(type: String, data: JSONValue) throws(EventStoreError) {
        guard let name = TypeName(rawValue: type) else { return nil }
        do throws(Problem) {
            let reader = EventDataReader(try FieldReader(data))
            switch name {
            case .created: self = .created(try reader.poolSpec())
            case .changed:
                self = .changed(try reader.poolSpec(), revision: try reader.integer("revision", in: 2...Int64.max))
            case .deleted: self = .deleted
            }
        } catch {
            throw EventStoreError(.corrupt, "the data of a \(type) do not fit: \(error.message)", cause: error)
        }
    }
}

extension PoolSpec {
    fileprivate func fields(revision: Int64) -> [String: JSONValue] {
        var fields: [String: JSONValue] = [
            "name": .string(name), "templateId": .string(template.rawValue), "min": .int(minimum),
            "max": .int(maximum), "revision": .int(revision),
        ]
        fields["templateRevision"] = templateRevision.map { .int($0) }
        return fields
    }
}

extension EventDataReader {
    fileprivate func poolSpec() throws(Problem) -> PoolSpec {
        guard let template = TemplateID(try fields.requiredString("templateId")) else {
            throw .invalid("templateId", "templateId must be the id of a template")
        }
        return PoolSpec(
            name: try fields.requiredString("name"), template: template,
            templateRevision: try fields.integer("templateRevision", in: 1...Int64.max),
            minimum: try integer("min", in: 0...Int64.max), maximum: try integer("max", in: 0...Int64.max))
    }
}
