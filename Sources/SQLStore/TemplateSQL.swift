import ComputeCore
import ComputeDomain
import EventSourcing

/// The read model of templates: a row for each, and one for each revision that is kept.
struct TemplateSQL {
    let db: any SQLConnection

    /// What an event changes here.
    func update(_ event: RecordedEvent) throws {
        guard event.stream.category == StreamID.templateCategory, let id = TemplateID(event.stream.id) else { return }
        let before = try rows("s.template_id = :id", ["id": id.rawValue]).first
        guard let row = try TemplateSummary.applying(event, to: before) else {
            for table in ["template_summaries", "template_revisions"] {
                try db.run(sql: "DELETE FROM \(table) WHERE template_id = :id", arguments: ["id": id.rawValue])
            }
            return
        }
        try db.run(
            sql: """
                INSERT INTO template_summaries (template_id, group_id, name, revision, created_at, version)
                VALUES (:template_id, :group_id, :name, :revision, :created_at, :version)
                ON CONFLICT (template_id) DO UPDATE SET
                name = excluded.name, revision = excluded.revision, version = excluded.version
                """,
            arguments: [
                "template_id": id.rawValue, "group_id": row.group.rawValue, "name": row.newest.spec.name,
                "revision": row.newest.revision, "created_at": row.createdAt.milliseconds, "version": row.version,
            ])
        if row.newest != before?.newest { try put(row.newest, of: row) }
    }

    private func put(_ revision: TemplateRevision, of row: TemplateSummary) throws {
        try db.run(
            sql: """
                INSERT INTO template_revisions
                (template_id, revision, group_id, name, description, defaults, created_at)
                VALUES (:template_id, :revision, :group_id, :name, :description, :defaults, :created_at)
                """,
            arguments: [
                "template_id": row.id.rawValue, "revision": revision.revision, "group_id": row.group.rawValue,
                "name": revision.spec.name, "description": try jsonText(revision.spec.description),
                "defaults": try jsonText(.object(revision.spec.defaults)),
                "created_at": revision.createdAt.milliseconds,
            ])
        try db.run(
            sql: "DELETE FROM template_revisions WHERE template_id = :id AND revision <= :old",
            arguments: ["id": row.id.rawValue, "old": revision.revision - TemplateRevision.kept])
    }

    func template(_ id: TemplateID, in group: GroupID) throws -> TemplateSummary? {
        try rows("s.template_id = :id AND s.group_id = :group", ["id": id.rawValue, "group": group.rawValue]).first
    }

    func template(named name: String, in group: GroupID) throws -> TemplateSummary? {
        try rows("s.group_id = :group AND s.name = :name", ["group": group.rawValue, "name": name]).first
    }

    func page(in group: GroupID, after cursor: Cursor?, limit: Int) throws -> TemplatePage {
        let limit = min(max(limit, 1), 1000)
        let after = try cursor.map { try NameCursor(.templates, $0).name } ?? ""
        let found = try rows(
            "s.group_id = :group AND s.name > :after ORDER BY s.name LIMIT :limit",
            ["group": group.rawValue, "after": after, "limit": limit + 1])
        return TemplatePage(found, limit: limit)
    }

    func revision(_ revision: Int64, of id: TemplateID, in group: GroupID) throws -> TemplateRevision? {
        try revisions("revision = :revision", ["revision": revision], of: id, in: group).first
    }

    func revisions(
        of id: TemplateID, in group: GroupID, after cursor: Cursor?, limit: Int
    ) throws -> TemplateRevisionPage {
        let limit = min(max(limit, 1), 1000)
        let before = try cursor.map { try TemplateRevisionCursor($0).revision } ?? Int64.max
        let found = try revisions(
            "revision < :before ORDER BY revision DESC LIMIT :limit", ["before": before, "limit": limit + 1], of: id,
            in: group)
        return TemplateRevisionPage(found, limit: limit)
    }

    private func rows(_ conditions: String, _ arguments: SQLArguments) throws -> [TemplateSummary] {
        try db.readRows(
            sql: """
                SELECT s.template_id AS template_id, s.group_id AS group_id, s.name AS name, s.revision AS revision,
                s.created_at AS made_at, s.version AS version, r.description AS description, r.defaults AS defaults,
                r.created_at AS created_at
                FROM template_summaries AS s
                JOIN template_revisions AS r ON r.template_id = s.template_id AND r.revision = s.revision
                WHERE \(conditions)
                """, arguments: arguments
        ) { row in
            TemplateSummary(
                id: try row.requiredParsed("template_id") { TemplateID($0) },
                group: GroupID(try row.required("group_id")), newest: try TemplateRevision(row: row),
                createdAt: WallTime(milliseconds: try row.required("made_at")), version: try row.required("version"))
        }
    }

    private func revisions(
        _ conditions: String, _ arguments: SQLArguments, of id: TemplateID, in group: GroupID
    ) throws -> [TemplateRevision] {
        var arguments = arguments
        arguments += ["id": id.rawValue, "group": group.rawValue]
        return try db.readRows(
            sql: """
                SELECT revision, name, description, defaults, created_at FROM template_revisions
                WHERE template_id = :id AND group_id = :group AND \(conditions)
                """, arguments: arguments, TemplateRevision.init(row:))
    }
}

extension TemplateRevision {
    fileprivate init(row: any SQLRow) throws {
        self.init(
            revision: try row.required("revision"),
            spec: TemplateSpec(
                name: try row.required("name"), description: try row.jsonString("description") ?? "",
                defaults: try row.object("defaults")),
            createdAt: WallTime(milliseconds: try row.required("created_at")))
    }
}
