import APIContract
import ComputeCore
import ComputeDomain
import EventSourcing

extension TemplateService {
    /// What a create starts from.
    /// - Throws: 400 naming what the group does not have.
    func used(
        _ use: TemplateUse, in group: GroupID
    ) async throws(Problem) -> (used: UsedTemplate, defaults: [String: JSONValue]) {
        guard let template = try await find(use.template, in: group) else {
            throw .invalid("templateId", "templateId: there is no template \(use.template.prefix(64))")
        }
        guard let number = use.revision, number != template.newest.revision else {
            return (UsedTemplate(id: template.id, revision: template.newest.revision), template.newest.spec.defaults)
        }
        let revision = try await reading { () async throws(EventStoreError) in
            try await ports.templates.revision(number, of: template.id, in: group)
        }
        guard let revision else {
            throw .invalid(
                "templateRevision",
                "templateRevision: the template \(template.newest.spec.name) has no revision \(number)")
        }
        return (UsedTemplate(id: template.id, revision: number), revision.spec.defaults)
    }
}
