package import ComputeCore
package import EventSourcing

/// What can happen to a filesystem.
package enum FilesystemEvent: Hashable, Sendable {
    case created(FilesystemSpec)
    case attached(ComputeID, FilesystemAttachment)
    case detached(ComputeID)
    case deleted
}

extension FilesystemEvent: DomainEvent {
    package enum TypeName: String, Sendable, CaseIterable {
        case created = "FilesystemCreated"
        case attached = "FilesystemAttached"
        case detached = "FilesystemDetached"
        case deleted = "FilesystemDeleted"
    }

    package var recorded: NewEvent {
        let (type, fields): (TypeName, [String: JSONValue]) =
            switch self {
            case .created(let spec): (.created, ["name": .string(spec.name), "sizeMiB": .int(spec.sizeMiB)])
            case .attached(let compute, let attachment):
                (
                    .attached,
                    [
                        "computeId": .string(compute.rawValue), "path": .string(attachment.path),
                        "readOnly": .bool(attachment.isReadOnly),
                    ]
                )
            case .detached(let compute): (.detached, ["computeId": .string(compute.rawValue)])
            case .deleted: (.deleted, [:])
            }
        return NewEvent(type: type.rawValue, data: .object(fields))
    }

    package init?(type: String, data: JSONValue) throws(EventStoreError) {
        guard let name = TypeName(rawValue: type) else { return nil }
        do throws(Problem) {
            let reader = EventDataReader(try FieldReader(data))
            switch name {
            case .created:
                self = .created(
                    FilesystemSpec(
                        name: try reader.fields.requiredString("name"),
                        sizeMiB: try reader.integer("sizeMiB", in: 1...(1 << 40))))
            case .attached:
                self = .attached(
                    try reader.compute(),
                    FilesystemAttachment(
                        path: try reader.fields.requiredString("path"),
                        isReadOnly: try reader.fields.bool("readOnly") ?? false))
            case .detached: self = .detached(try reader.compute())
            case .deleted: self = .deleted
            }
        } catch {
            throw EventStoreError(.corrupt, "the data of a \(type) do not fit: \(error.message)", cause: error)
        }
    }
}

extension EventDataReader {
    fileprivate func compute() throws(Problem) -> ComputeID {
        guard let id = ComputeID(try fields.requiredString("computeId")) else {
            throw .invalid("computeId", "computeId is not the id of a compute")
        }
        return id
    }

    /// What a compute was requested with. Absent in what was recorded before there were any.
    func filesystems(_ name: String) throws(Problem) -> [ComputeFilesystem] {
        var list: [ComputeFilesystem] = []
        for entry in try fields.objects(name, atMost: 1024) { list.append(try ComputeFilesystem(entry)) }
        return list
    }
}

extension ComputeFilesystem {
    /// As events and rows hold it.
    package var document: JSONValue {
        .object([
            "filesystemId": .string(id.rawValue), "name": .string(name), "path": .string(attachment.path),
            "readOnly": .bool(attachment.isReadOnly),
        ])
    }

    package init(_ fields: FieldReader) throws(Problem) {
        guard let id = FilesystemID(try fields.requiredString("filesystemId")) else {
            throw .invalid(fields.path("filesystemId"), "filesystemId is not the id of a filesystem")
        }
        self.init(
            id: id, name: try fields.requiredString("name"),
            attachment: FilesystemAttachment(
                path: try fields.requiredString("path"), isReadOnly: try fields.bool("readOnly") ?? false))
    }
}
