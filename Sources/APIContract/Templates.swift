package import ComputeCore

/// The checked body of `POST /v1/templates` and `PUT /v1/templates/{template}`.
package struct WriteTemplate: Hashable, Sendable {
    package static let maxDescriptionBytes = 1024
    /// A hundred revisions of it are kept, and a page of a list may hold as many.
    package static let maxDefaultsBytes = 64 * 1024

    package var name: String
    package var description: String
    /// Fields of a create, as its body has them.
    package var defaults: [String: JSONValue]
    /// The revision that it was made from; only of a PUT.
    package var revision: Int64?

    /// Of a create, what belongs to each compute alone, and what is made of templates itself.
    private static let fieldsOfNoTemplate = ["namespace", "templateRevision"]

    /// - Parameter id: of the template that it is about; nil for a new one. So what was read can be changed and written.
    package init(_ document: JSONValue, of id: TemplateID? = nil) throws(Problem) {
        let fields = try FieldReader(document)
        name = try fields.requiredString("name")
        try SandboxName.check("name", name)
        description = try fields.string("description") ?? ""
        guard description.utf8.count <= Self.maxDescriptionBytes, !description.utf8.contains(0) else {
            throw .invalid(
                "description", "description must be at most \(Self.maxDescriptionBytes) bytes, without NUL characters")
        }
        if let text = try fields.string("templateId"), text != id?.rawValue {
            throw .unsupported("templateId")
        }
        for field in Self.fieldsOfNoTemplate where fields.value(field) != nil { throw .unsupported(field) }
        revision = id == nil ? nil : try fields.integer("revision", in: 1...Int64.max)
        defaults = try CreateSandbox.Defaults.of(document)
        guard JSONValue.object(defaults).roughSize <= Self.maxDefaultsBytes else {
            throw Problem(
                status: 400, code: .invalidRequest,
                message: "what a template says of a create must be at most \(Self.maxDefaultsBytes) bytes of JSON")
        }
    }
}

extension CreateSandbox {
    /// What of a create a template can say.
    package enum Defaults {
        package static let fields = [
            "directory", "envs", "filesystems", "image", "lifecycle", "metadata", "network", "overlays", "ports",
            "resources", "secrets", "servers", "timeout",
        ]

        /// Those that the body of a template has, checked as in a create. What asks for nothing is no default.
        static func of(_ document: JSONValue) throws(Problem) -> [String: JSONValue] {
            guard case .object(var fields) = document else { return [:] }
            for field in ["name", "templateId"] { fields[field] = nil }
            _ = try CreateSandbox(.object(fields))
            return given(FieldReader(fields)).filter { !$0.value.asksForNothing }
        }

        /// Those that are there; an empty list is.
        static func given(_ reader: FieldReader) -> [String: JSONValue] {
            var given: [String: JSONValue] = [:]
            for field in fields {
                given[field] = reader.value(field)
                if field == "ports", CreateSandbox.isListOfPorts(given[field]) { given[field] = nil }
                // As everywhere, a part that is null is absent. An entry of the metadata is not.
                if ["lifecycle", "ports", "resources"].contains(field), case .object(let parts)? = given[field] {
                    given[field] = .object(parts.filter { $0.value != .null })
                }
            }
            return given
        }
    }
}

/// A template, or one of its revisions, in answers. What it says of a create stands beside its own fields, spelled as a
/// create has them.
package struct TemplateView: Codable, Hashable, Sendable {
    private var document: JSONValue

    package init(
        id: TemplateID, name: String, description: String, defaults: [String: JSONValue], revision: Int64,
        createdAt: WallTime, updatedAt: WallTime? = nil
    ) {
        var fields = defaults
        fields["templateId"] = .string(id.rawValue)
        fields["name"] = .string(name)
        fields["description"] = description.isEmpty ? nil : .string(description)
        fields["revision"] = .int(revision)
        fields["createdAt"] = .string(createdAt.rfc3339)
        fields["updatedAt"] = updatedAt.map { .string($0.rfc3339) }
        document = .object(fields)
    }

    package init(from decoder: any Decoder) throws { document = try JSONValue(from: decoder) }
    package func encode(to encoder: any Encoder) throws { try document.encode(to: encoder) }
}
