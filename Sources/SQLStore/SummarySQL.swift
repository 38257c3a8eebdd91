import ComputeCore
import ComputeDomain
import EventSourcing

/// The read model's table.
struct SummarySQL {
    let db: any SQLConnection

    func summary(_ id: ComputeID, in group: GroupID?) throws -> ComputeSummary? {
        try rows(
            "compute_id = :id AND (:group IS NULL OR group_id = :group)", ["id": id.rawValue, "group": group?.rawValue]
        )
        .first
    }

    func page(in group: GroupID, matching filter: SummaryFilter, after cursor: Cursor?, limit: Int) throws
        -> SummaryPage
    {
        let limit = min(max(limit, 1), 1000)
        let query = try SummaryQuery(in: group, matching: filter, after: cursor)
        var arguments = query.arguments
        arguments += ["limit": limit + 1]
        var page = try rows("\(query.conditions) \(query.order) LIMIT :limit", arguments, from: query.tables)
        let hasMore = page.count > limit
        if hasMore { page.removeLast() }
        return SummaryPage(summaries: page, next: hasMore ? page.last.map { SummaryCursor(after: $0).cursor } : nil)
    }

    func named(_ name: String, namespace: String, in group: GroupID) throws -> ComputeSummary? {
        try rows(
            "group_id = :group AND namespace = :namespace AND name = :name AND state <> 'ended' LIMIT 1",
            ["group": group.rawValue, "namespace": namespace, "name": name]
        ).first
    }

    func living(expiringBefore time: WallTime, limit: Int) throws -> [ComputeSummary] {
        try rows(
            "state <> 'ended' AND expires_at < :time ORDER BY expires_at, compute_id LIMIT :limit",
            ["time": time.milliseconds, "limit": max(limit, 0)])
    }

    func unended(after id: ComputeID?, limit: Int) throws -> [ComputeSummary] {
        try rows(
            "state <> 'ended' AND compute_id > :id ORDER BY compute_id LIMIT :limit",
            ["id": id?.rawValue ?? "", "limit": max(limit, 0)])
    }

    private func rows(
        _ conditions: String, _ arguments: SQLArguments, from tables: String = "compute_summaries AS s"
    ) throws -> [ComputeSummary] {
        let columns = Self.columns.map { "s.\($0) AS \($0)" }.joined(separator: ", ")
        return try db.readRows(
            sql: "SELECT \(columns) FROM \(tables) WHERE \(conditions)",
            arguments: arguments, ComputeSummary.init(row:))
    }

    func put(_ row: ComputeSummary) throws {
        try db.run(sql: Self.upsert, arguments: try row.arguments())
    }

    private static let columns = [
        "compute_id", "group_id", "name", "namespace", "metadata", "directory", "timeout_ms", "state", "created_at",
        "started_at", "expires_at", "ended_at", "end_reason", "generation", "member", "sidekick", "sidekick_internal",
        "port_host", "filesystems", "cpu_thousandths", "memory_mib", "metered_since", "template_id",
        "template_revision", "network", "ports", "lifecycle", "version",
    ]
    private static let upsert = """
        INSERT INTO compute_summaries (\(columns.joined(separator: ", ")))
        VALUES (\(columns.map { ":\($0)" }.joined(separator: ", ")))
        ON CONFLICT (compute_id) DO UPDATE SET
        \(columns.dropFirst().map { "\($0) = excluded.\($0)" }.joined(separator: ", "))
        """
}

extension ComputeSummary {
    fileprivate func arguments() throws -> SQLArguments {
        [
            "compute_id": id.rawValue, "group_id": group.rawValue, "name": name, "namespace": namespace,
            "metadata": try jsonText(.object(metadata)), "directory": directory,
            "timeout_ms": timeout.wholeMilliseconds,
            "state": state.rawValue, "created_at": createdAt.milliseconds, "started_at": startedAt?.milliseconds,
            "expires_at": expiresAt?.milliseconds, "ended_at": endedAt?.milliseconds,
            "end_reason": endReason?.rawValue, "generation": generation?.rawValue, "member": member?.rawValue,
            "sidekick": sidekick?.description, "sidekick_internal": sidekickInternal?.description,
            "port_host": portHost,
            // Most have none, and cost nothing to read.
            "filesystems": filesystems.isEmpty ? nil : try jsonText(.array(filesystems.map(\.document))),
            "cpu_thousandths": size.cpuThousandths, "memory_mib": size.memoryMiB,
            "metered_since": meteredSince?.milliseconds, "template_id": template?.id.rawValue,
            "template_revision": template?.revision,
            "network": network.isOpen ? nil : try jsonText(network.document),
            "ports": ports == .open ? nil : try jsonText(ports.document),
            "lifecycle": lifecycle == ComputeLifecycle() ? nil : try jsonText(lifecycle.document), "version": version,
        ]
    }

    fileprivate init(row: any SQLRow) throws {
        self.init(
            id: try row.requiredParsed("compute_id") { ComputeID($0) }, group: GroupID(try row.required("group_id")),
            name: try row.optional("name"), namespace: try row.optional("namespace"),
            metadata: try row.object("metadata"), directory: try row.optional("directory"),
            timeout: .milliseconds(try row.required("timeout_ms") as Int64),
            state: try row.requiredParsed("state", State.init(rawValue:)),
            createdAt: WallTime(milliseconds: try row.required("created_at")), startedAt: try row.time("started_at"),
            expiresAt: try row.time("expires_at"), endedAt: try row.time("ended_at"),
            endReason: try row.parsed("end_reason", EndReason.init(rawValue:)),
            generation: (try row.optional("generation") as Int?).map { Generation($0) },
            member: try row.parsed("member") { MemberName($0) },
            sidekick: try row.parsed("sidekick") { Endpoint($0) },
            sidekickInternal: try row.parsed("sidekick_internal") { Endpoint($0) },
            portHost: try row.optional("port_host"), version: try row.required("version"))
        size = MeteredSize(
            cpuThousandths: try row.required("cpu_thousandths"), memoryMiB: try row.required("memory_mib"))
        meteredSince = try row.time("metered_since")
        if let id = try row.parsed("template_id", { TemplateID($0) }) {
            template = UsedTemplate(id: id, revision: try row.required("template_revision"))
        }
        if try row.optional("network") as String? != nil { network = try Self.network(row) }
        if try row.optional("ports") as String? != nil { ports = try Self.ports(row) }
        if try row.optional("filesystems") as String? != nil { filesystems = try Self.filesystems(row) }
        if try row.optional("lifecycle") as String? != nil {
            let fields = try row.object("lifecycle")
            do throws(Problem) {
                lifecycle = try ComputeLifecycle(FieldReader(fields))
            } catch {
                throw EventStoreError(.corrupt, "the column lifecycle holds what it should not", cause: error)
            }
        }
    }

    private static func network(_ row: any SQLRow) throws -> NetworkPolicy {
        let fields = FieldReader(try row.object("network"))
        do throws(Problem) { return try NetworkPolicy(recorded: fields) } catch {
            throw EventStoreError(.corrupt, "the column network holds what it should not", cause: error)
        }
    }

    private static func ports(_ row: any SQLRow) throws -> PortAccess {
        let entries = try row.object("ports")
        do throws(Problem) { return try PortAccess(recorded: entries) } catch {
            throw EventStoreError(.corrupt, "the column ports holds what it should not", cause: error)
        }
    }

    private static func filesystems(_ row: any SQLRow) throws -> [ComputeFilesystem] {
        guard case .array(let entries) = try row.document("filesystems") else {
            throw EventStoreError(.corrupt, "the column filesystems holds no list")
        }
        do throws(Problem) {
            var list: [ComputeFilesystem] = []
            for entry in entries { list.append(try ComputeFilesystem(try FieldReader(entry))) }
            return list
        } catch {
            throw EventStoreError(.corrupt, "the column filesystems holds what it should not", cause: error)
        }
    }
}
