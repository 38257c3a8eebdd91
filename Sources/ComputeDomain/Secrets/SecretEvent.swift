package import ComputeCore
package import EventSourcing

/// What can happen to a secret. Neither its value nor anything that was made of it is among it.
package enum SecretEvent: Hashable, Sendable {
    case written(SecretName, version: Int64)
    /// With all versions up to this one.
    case deleted(SecretName, version: Int64)
}

extension SecretEvent: DomainEvent {
    package enum TypeName: String, Sendable, CaseIterable {
        case written = "SecretWritten"
        case deleted = "SecretDeleted"
    }

    package var recorded: NewEvent {
        let (type, name, version) =
            switch self {
            case .written(let name, let version): (TypeName.written, name, version)
            case .deleted(let name, let version): (TypeName.deleted, name, version)
            }
        return NewEvent(
            type: type.rawValue, data: .object(["name": .string(name.rawValue), "version": .int(version)]))
    }

    package init?(type: String, data: JSONValue) throws(EventStoreError) {
        guard let typeName = TypeName(rawValue: type) else { return nil }
        do throws(Problem) {
            let reader = EventDataReader(try FieldReader(data))
            guard let name = SecretName(try reader.fields.requiredString("name")) else {
                throw .invalid("name", "name is not one that a secret can have")
            }
            let version = try reader.integer("version", in: 1...Int64.max)
            self =
                switch typeName {
                case .written: .written(name, version: version)
                case .deleted: .deleted(name, version: version)
                }
        } catch {
            throw EventStoreError(.corrupt, "the data of a \(type) do not fit: \(error.message)", cause: error)
        }
    }
}
