package import ComputeCore

/// What a create is to be made from: `templateId` and `templateRevision` of its body.
package struct TemplateUse: Hashable, Sendable {
    /// An id, or else a name.
    package var template: String
    /// nil: the newest.
    package var revision: Int64?
    /// What the create says itself.
    var own: [String: JSONValue]

    /// Of something else than a create.
    package init(template: String, revision: Int64?) {
        self.template = template
        self.revision = revision
        own = [:]
    }

    /// nil when there is no template.
    init?(_ fields: FieldReader) throws(Problem) {
        let revision = try fields.integer("templateRevision", in: 1...Int64.max)
        guard let template = try fields.string("templateId") else {
            guard revision == nil else {
                throw .invalid("templateRevision", "templateRevision is nothing without templateId")
            }
            return nil
        }
        self.template = template
        self.revision = revision
        own = CreateSandbox.Defaults.given(fields)
    }
}

extension CreateSandbox {
    /// The create with what it takes of a template.
    /// - Throws: 400 naming the field that does not fit any more.
    package func made(from used: UsedTemplate, saying defaults: [String: JSONValue]) throws(Problem) -> CreateSandbox {
        guard let template else { return self }
        let joined = FieldReader(Defaults.joined(template.own, over: defaults))
        var made = try CreateSandbox(joined, nameIsRequired: false)
        made.name = name
        made.usedTemplate = used
        return made
    }
}

extension CreateSandbox.Defaults {
    /// Of these the entries are taken one by one.
    private static let maps: Set<String> = ["envs", "lifecycle", "metadata", "ports", "resources"]

    /// A create over a template, as documents. What comes of it is read like any body: so it holds to every limit, and a
    /// template that was written under other ones is refused by the field that is at fault.
    /// - Parameter own: those that the create itself has; they win.
    static func joined(
        _ own: [String: JSONValue], over defaults: [String: JSONValue]
    ) -> [String: JSONValue] {
        var joined = defaults
        for (field, value) in own {
            if maps.contains(field), case .object(let usual)? = defaults[field], case .object(let wanted) = value {
                joined[field] = .object(usual.merging(wanted) { $1 })
            } else {
                joined[field] = value
            }
        }
        return joined
    }
}
