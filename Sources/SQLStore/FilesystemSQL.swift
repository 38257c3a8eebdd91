import ComputeCore
import ComputeDomain
import EventSourcing

/// The read model of filesystems.
struct FilesystemSQL {
    let db: any SQLConnection

    /// What an event changes here.
    func update(_ event: RecordedEvent) throws {
        guard event.stream.category == StreamID.filesystemCategory, let id = FilesystemID(event.stream.id) else {
            return
        }
        guard let row = try FilesystemSummary.applying(event, to: try filesystem(id, in: nil)) else {
            try db.run(
                sql: "DELETE FROM filesystem_summaries WHERE filesystem_id = :id", arguments: ["id": id.rawValue])
            return
        }
        try db.run(
            sql: """
                INSERT INTO filesystem_summaries (\(Self.columns.joined(separator: ", ")))
                VALUES (\(Self.columns.map { ":\($0)" }.joined(separator: ", ")))
                ON CONFLICT (filesystem_id) DO UPDATE SET
                \(Self.columns.dropFirst().map { "\($0) = excluded.\($0)" }.joined(separator: ", "))
                """, arguments: try row.arguments())
    }

    func filesystem(_ id: FilesystemID, in group: GroupID?) throws -> FilesystemSummary? {
        try rows(
            "filesystem_id = :id AND (:group IS NULL OR group_id = :group)",
            ["id": id.rawValue, "group": group?.rawValue]
        ).first
    }

    func filesystem(named name: String, in group: GroupID) throws -> FilesystemSummary? {
        try rows("group_id = :group AND name = :name", ["group": group.rawValue, "name": name]).first
    }

    func page(in group: GroupID, after cursor: Cursor?, limit: Int) throws -> FilesystemPage {
        let limit = min(max(limit, 1), 1000)
        let after = try cursor.map { try NameCursor(.filesystems, $0).name } ?? ""
        let found = try rows(
            "group_id = :group AND name > :after ORDER BY name LIMIT :limit",
            ["group": group.rawValue, "after": after, "limit": limit + 1])
        return FilesystemPage(found, limit: limit)
    }

    /// So many are asked for at once. One text for all numbers of them, so that it is prepared once.
    private static let places = "abcdefgh".flatMap { first in "abcdefgh".map { "id_\(first)\($0)" } }
    private static let known = """
        SELECT filesystem_id FROM filesystem_summaries
        WHERE filesystem_id IN (\(places.map { ":\($0)" }.joined(separator: ", ")))
        """

    func unknown(among ids: [FilesystemID]) throws -> [FilesystemID] {
        var known: Set<String> = []
        for start in stride(from: 0, to: ids.count, by: Self.places.count) {
            var arguments: SQLArguments = [:]
            for (offset, place) in Self.places.enumerated() {
                // What is too many is the last one again.
                arguments.bind(place, to: ids[min(start + offset, ids.count - 1)].rawValue)
            }
            known.formUnion(
                try db.readRows(sql: Self.known, arguments: arguments) { row -> String in
                    try row.required("filesystem_id")
                })
        }
        return ids.filter { !known.contains($0.rawValue) }
    }

    private func rows(_ conditions: String, _ arguments: SQLArguments) throws -> [FilesystemSummary] {
        try db.readRows(
            sql: "SELECT \(Self.columns.joined(separator: ", ")) FROM filesystem_summaries WHERE \(conditions)",
            arguments: arguments, FilesystemSummary.init(row:))
    }

    private static let columns = [
        "filesystem_id", "group_id", "name", "size_mib", "attachments", "was_attached", "created_at", "updated_at",
        "version",
    ]
}

extension FilesystemSummary {
    fileprivate func arguments() throws -> SQLArguments {
        // In order, so that a rebuild writes the same text.
        let attachments = attachments.sorted { $0.key < $1.key }.map { compute, attachment in
            JSONValue.object([
                "computeId": .string(compute.rawValue), "path": .string(attachment.path),
                "readOnly": .bool(attachment.isReadOnly),
            ])
        }
        return [
            "filesystem_id": id.rawValue, "group_id": group.rawValue, "name": spec.name, "size_mib": spec.sizeMiB,
            "attachments": try jsonText(.array(attachments)), "was_attached": wasAttached ? 1 : 0,
            "created_at": createdAt.milliseconds, "updated_at": updatedAt.milliseconds, "version": version,
        ]
    }

    fileprivate init(row: any SQLRow) throws {
        var attachments: [ComputeID: FilesystemAttachment] = [:]
        guard case .array(let list) = try row.document("attachments") else {
            throw EventStoreError(.corrupt, "the column attachments holds no list")
        }
        for entry in list {
            guard case .object(let fields) = entry, case .string(let text)? = fields["computeId"],
                let compute = ComputeID(text), case .string(let path)? = fields["path"],
                case .bool(let isReadOnly)? = fields["readOnly"]
            else { throw EventStoreError(.corrupt, "the column attachments holds what it should not") }
            attachments[compute] = FilesystemAttachment(path: path, isReadOnly: isReadOnly)
        }
        self.init(
            id: try row.requiredParsed("filesystem_id") { FilesystemID($0) },
            group: GroupID(try row.required("group_id")),
            spec: FilesystemSpec(name: try row.required("name"), sizeMiB: try row.required("size_mib")),
            attachments: attachments, wasAttached: try row.required("was_attached") as Int != 0,
            createdAt: WallTime(milliseconds: try row.required("created_at")),
            updatedAt: WallTime(milliseconds: try row.required("updated_at")), version: try row.required("version"))
    }
}
