import ComputeCore
import ComputeDomain
import EventSourcing

/// The read model of pools.
struct PoolSQL {
    let db: any SQLConnection

    /// What an event changes here.
    func update(_ event: RecordedEvent) throws {
        guard event.stream.category == StreamID.poolCategory, let id = PoolID(event.stream.id) else { return }
        let before = try rows("p.pool_id = :id", ["id": id.rawValue]).first
        guard let row = try PoolSummary.applying(event, to: before) else {
            try db.run(sql: "DELETE FROM pool_summaries WHERE pool_id = :id", arguments: ["id": id.rawValue])
            return
        }
        try db.run(
            sql: """
                INSERT INTO pool_summaries
                (pool_id, group_id, name, template_id, template_revision, minimum, maximum, revision, created_at,
                updated_at, version)
                VALUES (:pool_id, :group_id, :name, :template_id, :template_revision, :minimum, :maximum, :revision,
                :created_at, :updated_at, :version)
                ON CONFLICT (pool_id) DO UPDATE SET
                name = excluded.name, template_id = excluded.template_id,
                template_revision = excluded.template_revision, minimum = excluded.minimum,
                maximum = excluded.maximum, revision = excluded.revision, updated_at = excluded.updated_at,
                version = excluded.version
                """,
            arguments: [
                "pool_id": id.rawValue, "group_id": row.group.rawValue, "name": row.spec.name,
                "template_id": row.spec.template.rawValue, "template_revision": row.spec.templateRevision,
                "minimum": row.spec.minimum, "maximum": row.spec.maximum, "revision": row.revision,
                "created_at": row.createdAt.milliseconds, "updated_at": row.updatedAt.milliseconds,
                "version": row.version,
            ])
    }

    func pool(_ id: PoolID, in group: GroupID) throws -> PoolSummary? {
        try rows("p.pool_id = :id AND p.group_id = :group", ["id": id.rawValue, "group": group.rawValue]).first
    }

    func pool(named name: String, in group: GroupID) throws -> PoolSummary? {
        try rows("p.group_id = :group AND p.name = :name", ["group": group.rawValue, "name": name]).first
    }

    func page(in group: GroupID, after cursor: Cursor?, limit: Int) throws -> PoolPage {
        let limit = min(max(limit, 1), 1000)
        let after = try cursor.map { try NameCursor(.pools, $0).name } ?? ""
        let found = try rows(
            "p.group_id = :group AND p.name > :after ORDER BY p.name LIMIT :limit",
            ["group": group.rawValue, "after": after, "limit": limit + 1])
        return PoolPage(found, limit: limit)
    }

    func supplies(after id: PoolID?, limit: Int) throws -> [PoolSupply] {
        try db.readRows(
            sql: """
                SELECT \(Self.columns), r.revision AS made_from, r.defaults AS defaults
                FROM pool_summaries AS p
                LEFT JOIN template_summaries AS s ON s.template_id = p.template_id AND s.group_id = p.group_id
                LEFT JOIN template_revisions AS r
                ON r.template_id = s.template_id AND r.revision = COALESCE(p.template_revision, s.revision)
                WHERE p.pool_id > :after ORDER BY p.pool_id LIMIT :limit
                """, arguments: ["after": id?.rawValue ?? "", "limit": min(max(limit, 1), 1000)]
        ) { row in
            let revision: Int64? = try row.optional("made_from")
            return PoolSupply(
                pool: try PoolSummary(row: row), defaults: try revision.map { _ in try row.object("defaults") })
        }
    }

    private static let columns = [
        "pool_id", "group_id", "name", "template_id", "template_revision", "minimum", "maximum", "revision",
        "created_at", "updated_at", "version",
    ].map { "p.\($0) AS \($0)" }.joined(separator: ", ")

    private func rows(_ conditions: String, _ arguments: SQLArguments) throws -> [PoolSummary] {
        try db.readRows(
            sql: "SELECT \(Self.columns) FROM pool_summaries AS p WHERE \(conditions)", arguments: arguments,
            PoolSummary.init(row:))
    }
}

extension PoolSummary {
    fileprivate init(row: any SQLRow) throws {
        self.init(
            id: try row.requiredParsed("pool_id") { PoolID($0) }, group: GroupID(try row.required("group_id")),
            spec: PoolSpec(
                name: try row.required("name"), template: try row.requiredParsed("template_id") { TemplateID($0) },
                templateRevision: try row.optional("template_revision"), minimum: try row.required("minimum"),
                maximum: try row.required("maximum")),
            revision: try row.required("revision"), createdAt: WallTime(milliseconds: try row.required("created_at")),
            updatedAt: WallTime(milliseconds: try row.required("updated_at")), version: try row.required("version"))
    }
}
