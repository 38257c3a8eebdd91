package import APIContract
package import ComputeCore
package import ComputeDomain
import ComputeRuntime
import EventSourcing
import Logging

/// What the API does about pools, without HTTP.
package struct PoolService: Sendable, StoreReader {
    let ports: APIPorts
    let settings: APISettings
    let templates: TemplateService
    let keeper: PoolKeeper
    let logger: Logger

    init(
        ports: APIPorts, settings: APISettings, templates: TemplateService, keeper: PoolKeeper, logger: Logger
    ) {
        self.ports = ports
        self.settings = settings
        self.templates = templates
        self.keeper = keeper
        self.logger = logger
    }

    /// - Throws: 400 naming the field when there can be no such pool; 403 for a template that the caller may not use; 409 when the name is taken; 429.
    package func create(_ order: CreatePool, for caller: Caller) async throws(Problem) -> PoolSummary {
        let id = PoolID.random()
        let template = try await checked(order.template, for: caller)
        let spec = PoolSpec(
            name: order.name, template: template, templateRevision: order.template.revision,
            minimum: order.minimum, maximum: order.maximum)
        try await decide(.create(spec), id, name: order.name, field: "min", caller)
        return try await get(id.rawValue, for: caller)
    }

    /// - Throws: as `create`; 404; 409 also when it is at another revision than the order was made from.
    package func change(_ pool: String, _ order: ChangePool, for caller: Caller) async throws(Problem) -> PoolSummary {
        let found = try await get(pool, for: caller)
        var change = PoolChange(
            name: order.name, templateRevision: order.templateRevision, minimum: order.minimum,
            maximum: order.maximum, isScaled: order.isScaled)
        if order.template != nil || order.templateRevision != nil {
            // Also of the revision alone: it is one of the template that was looked at, whatever others make of it meanwhile.
            change.template = try await checked(
                TemplateUse(
                    template: order.template ?? found.spec.template.rawValue, revision: order.templateRevision),
                for: caller)
        }
        try await decide(
            .change(change, after: order.revision), found.id, name: order.name ?? found.spec.name,
            field: order.minimum == nil ? "max" : "min", caller)
        return try await get(found.id.rawValue, for: caller)
    }

    /// Its idle members go. What was made of others goes on.
    /// - Throws: 404.
    package func delete(_ pool: String, for caller: Caller) async throws(Problem) {
        let found = try await get(pool, for: caller)
        try await decide(.delete, found.id, name: found.spec.name, field: "min", caller)
    }

    /// - Parameter pool: its id, or else its name.
    package func get(_ pool: String, for caller: Caller) async throws(Problem) -> PoolSummary {
        let found = try await reading { () async throws(EventStoreError) -> PoolSummary? in
            if let id = PoolID(pool), let found = try await ports.pools.pool(id, in: caller.group) { return found }
            // What no pool can be called is nothing that a database should be asked for.
            guard (try? SandboxName.check("name", pool)) != nil else { return nil }
            return try await ports.pools.pool(named: pool, in: caller.group)
        }
        guard let found else { throw .noSuchPool(pool) }
        return found
    }

    package func list(after cursor: String?, limit: Int, for caller: Caller) async throws(Problem) -> PoolPage {
        try await reading { () async throws(EventStoreError) in
            try await ports.pools.pools(
                in: caller.group, after: cursor.map { Cursor(rawValue: $0) }, limit: limit)
        }
    }

    func view(_ pool: PoolSummary) -> PoolView { view(pool, ports.runtime.pools) }

    /// All of them as they stand at one moment.
    func views(_ pools: [PoolSummary]) -> [PoolView] {
        let statuses = ports.runtime.pools
        return pools.map { view($0, statuses) }
    }

    private func view(_ pool: PoolSummary, _ statuses: [PoolID: PoolStatus]) -> PoolView {
        PoolView(
            id: pool.id, name: pool.spec.name, template: pool.spec.template,
            templateRevision: pool.spec.templateRevision, minimum: pool.spec.minimum, maximum: pool.spec.maximum,
            revision: pool.revision, createdAt: pool.createdAt, updatedAt: pool.updatedAt,
            status: keeper.status(of: pool.id, statuses[pool.id]))
    }

    // MARK: - Parts

    /// The template is there and can have a pool. That it can have none later on is no error: the pool says so.
    ///
    /// Whoever keeps its computes ready may use it as whoever makes one, or he would learn here what is in it.
    private func checked(_ use: TemplateUse, for caller: Caller) async throws(Problem) -> TemplateID {
        try caller.authority.checkUsesTemplates()
        let (used, defaults) = try await templates.used(use, in: caller.group)
        let create: CreateSandbox
        do throws(Problem) {
            create = try CreateSandbox(.object(defaults))
        } catch {
            throw .noPool(error)
        }
        try caller.authority.check(usesSecrets: !create.secrets.isEmpty, usesFilesystems: !create.filesystems.isEmpty)
        do throws(Problem) {
            _ = try PoolPlan.order(create, ServerOffer(ports, settings))
        } catch {
            throw .noPool(error)
        }
        return used.id
    }

    /// - Parameter field: of the two that say a size, the one that the caller said.
    private func decide(
        _ command: Pool.Command, _ id: PoolID, name: String, field: String, _ caller: Caller
    ) async throws(Problem) {
        // Conflicts need others who change the same pool at the same time; eight in a row are no accident.
        for _ in 0..<8 {
            let loaded = try await reading { () async throws(EventStoreError) in
                try await ports.store.load(Pool.self, .pool(id))
            }
            let events: [PoolEvent]
            do {
                events = try Pool.decide(command, loaded.state)
            } catch {
                switch error {
                case .absent: throw .noSuchPool(id.rawValue)
                case .isAt(let revision): throw .poolChanged(revision)
                case .minimumAboveMaximum(let spec):
                    throw .minimumAboveMaximum(field: field, spec.minimum, spec.maximum)
                case .otherwiseScaled(let spec): throw .otherwiseScaled(isScaled: spec.isScaled)
                case .alreadyThere: throw .internalError
                }
            }
            guard !events.isEmpty else { return }
            let commit = Commit.pool(
                id, in: caller.group, expectedVersion: loaded.version, before: loaded.state, events: events,
                limit: settings.poolsPerGroup, quotas: settings.quotas, standing: caller.standing,
                metadata: caller.metadata, at: ports.clock.now())
            let outcome = try await reading { () async throws(EventStoreError) in
                try await ports.store.commit(commit)
            }
            switch outcome {
            case .committed:
                await keeper.refresh()
                return
            case .versionConflict: continue
            case .taken: throw .poolExists(name)
            case .overLimit(.pools(in: caller.group), let limit): throw .tooManyPools(limit)
            case .overLimit(let counter, let limit): throw .quotaExceeded(counter, limit)
            case .overtaken: throw .unauthenticated
            }
        }
        throw .unavailable("too many changes at once")
    }
}

extension Problem {
    static func noSuchPool(_ pool: String) -> Problem { .notFound("there is no pool \(pool.prefix(64))") }

    static func noPool(_ cause: Problem) -> Problem {
        .invalid("templateId", "templateId: no pool of this template is possible: \(cause.message)")
    }

    static func poolExists(_ name: String) -> Problem {
        Problem(status: 409, code: .conflict, message: "there is a pool \(name)", field: "name")
    }

    static func poolChanged(_ revision: Int64) -> Problem {
        Problem(
            status: 409, code: .conflict, message: "the pool is at revision \(revision); read it again",
            field: "revision")
    }

    static func tooManyPools(_ limit: Int64) -> Problem {
        Problem.overQuota("the group has \(limit) pools, which is the limit")
    }
}
