package import APIContract
package import ComputeCore
package import ComputeDomain
import EventSourcing
package import Logging

/// What the API does about templates, without HTTP.
package struct TemplateService: Sendable, StoreReader {
    let ports: APIPorts
    let settings: APISettings
    let logger: Logger

    package init(ports: APIPorts, settings: APISettings, logger: Logger) {
        self.ports = ports
        self.settings = settings
        self.logger = logger
    }

    /// - Throws: 409 when the name is taken; 429.
    package func create(_ order: WriteTemplate, for caller: Caller) async throws(Problem) -> TemplateSummary {
        try Self.checkPowers(order, caller)
        let id = TemplateID.random()
        try await decide(.create(order.spec), id, order.name, caller)
        return try await get(id.rawValue, for: caller)
    }

    /// Its next revision, unless it says the same already.
    /// - Parameter template: its id, or else its name.
    /// - Throws: 404; 409 when another name is taken, or it is at another revision than the order was made from.
    package func revise(
        _ template: TemplateID, _ order: WriteTemplate, for caller: Caller
    ) async throws(Problem) -> TemplateSummary {
        try Self.checkPowers(order, caller)
        try await decide(.revise(order.spec, after: order.revision), template, order.name, caller)
        return try await get(template.rawValue, for: caller)
    }

    /// With all its revisions. What was made from it goes on.
    /// - Throws: 404.
    package func delete(_ template: String, for caller: Caller) async throws(Problem) {
        let found = try await get(template, for: caller)
        try await decide(.delete, found.id, found.newest.spec.name, caller)
    }

    /// - Parameter template: its id, or else its name.
    package func get(_ template: String, for caller: Caller) async throws(Problem) -> TemplateSummary {
        guard let found = try await find(template, in: caller.group) else { throw .noSuchTemplate(template) }
        return found
    }

    package func list(after cursor: String?, limit: Int, for caller: Caller) async throws(Problem) -> TemplatePage {
        try await reading { () async throws(EventStoreError) in
            try await ports.templates.templates(
                in: caller.group, after: cursor.map { Cursor(rawValue: $0) }, limit: limit)
        }
    }

    /// Those that are kept, the newest first.
    package func revisions(
        of id: TemplateID, after cursor: String?, limit: Int, for caller: Caller
    ) async throws(Problem) -> TemplateRevisionPage {
        try await reading { () async throws(EventStoreError) in
            try await ports.templates.revisions(
                of: id, in: caller.group, after: cursor.map { Cursor(rawValue: $0) }, limit: limit)
        }
    }

    /// nil for one that is not there yet, or not any more.
    package func revision(
        _ revision: Int64, of id: TemplateID, for caller: Caller
    ) async throws(Problem) -> TemplateRevision? {
        try await reading { () async throws(EventStoreError) in
            try await ports.templates.revision(revision, of: id, in: caller.group)
        }
    }

    // MARK: - Parts

    /// Whoever writes a template decides what is given to computes that others make from it, and what runs there: no more than
    /// he could give to one of his own.
    private static func checkPowers(_ order: WriteTemplate, _ caller: Caller) throws(Problem) {
        func has(_ name: String) -> Bool {
            switch order.spec.defaults[name] {
            case .array(let values): !values.isEmpty
            case nil, .null: false
            default: true
            }
        }
        try caller.authority.check(usesSecrets: has("secrets"), usesFilesystems: has("filesystems"))
    }

    /// An id before a name: ids are random, so what is called like one means it.
    func find(_ template: String, in group: GroupID) async throws(Problem) -> TemplateSummary? {
        try await reading { () async throws(EventStoreError) in
            if let id = TemplateID(template), let found = try await ports.templates.template(id, in: group) {
                return found
            }
            // What no template can be called is nothing that a database should be asked for.
            guard (try? SandboxName.check("name", template)) != nil else { return nil }
            return try await ports.templates.template(named: template, in: group)
        }
    }

    private func decide(
        _ command: Template.Command, _ id: TemplateID, _ name: String, _ caller: Caller
    ) async throws(Problem) {
        // Conflicts need others who change the same template at the same time; eight in a row are no accident.
        for _ in 0..<8 {
            let loaded = try await reading { () async throws(EventStoreError) in
                try await ports.store.load(Template.self, .template(id))
            }
            let events: [TemplateEvent]
            do {
                events = try Template.decide(command, loaded.state)
            } catch {
                switch error {
                case .absent: throw .noSuchTemplate(id.rawValue)
                case .isAt(let revision): throw .templateRevised(revision)
                case .alreadyThere: throw .internalError
                }
            }
            guard !events.isEmpty else { return }
            let commit = Commit.template(
                id, in: caller.group, expectedVersion: loaded.version, before: loaded.state, events: events,
                limit: settings.templatesPerGroup, standing: caller.standing, metadata: caller.metadata,
                at: ports.clock.now())
            let outcome = try await reading { () async throws(EventStoreError) in
                try await ports.store.commit(commit)
            }
            switch outcome {
            case .committed: return
            case .versionConflict: continue
            case .taken: throw .templateExists(name)
            case .overLimit(_, let limit): throw .tooManyTemplates(limit)
            case .overtaken: throw .unauthenticated
            }
        }
        throw .unavailable("too many changes at once")
    }
}

extension WriteTemplate {
    fileprivate var spec: TemplateSpec { TemplateSpec(name: name, description: description, defaults: defaults) }
}

extension Problem {
    static func noSuchTemplate(_ template: String) -> Problem {
        .notFound("there is no template \(template.prefix(64))")
    }

    static func noSuchRevision(_ revision: String) -> Problem {
        .notFound("the template has no revision \(revision.prefix(64)), or not any more")
    }

    static func templateExists(_ name: String) -> Problem {
        Problem(status: 409, code: .conflict, message: "there is a template \(name)", field: "name")
    }

    static func templateRevised(_ revision: Int64) -> Problem {
        Problem(
            status: 409, code: .conflict, message: "the template is at revision \(revision); read it again",
            field: "revision")
    }

    static func tooManyTemplates(_ limit: Int64) -> Problem {
        Problem.overQuota("the group has \(limit) templates, which is the limit")
    }
}
