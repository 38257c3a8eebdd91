package import ComputeCore

/// The checked body of `POST /v1/filesystems`.
package struct CreateFilesystem: Hashable, Sendable {
    /// Below the first no useful ext4 fits; the last is what the group's limit is below anyway.
    package static let sizeRange: ClosedRange<Int64> = 64...(1 << 20)

    package var name: String
    package var sizeMiB: Int64

    package init(_ fields: FieldReader) throws(Problem) {
        name = try fields.requiredString("name")
        try SandboxName.check("name", name)
        guard let size = try fields.integer("sizeMiB", in: Self.sizeRange) else {
            throw .invalid("sizeMiB", "sizeMiB is required")
        }
        sizeMiB = size
    }
}

/// A filesystem in answers.
package struct FilesystemView: Codable, Hashable, Sendable {
    package struct Attachment: Codable, Hashable, Sendable {
        package var sandboxId: String
        package var path: String
        package var readOnly: Bool

        package init(sandboxId: ComputeID, path: String, readOnly: Bool) {
            self.sandboxId = sandboxId.rawValue
            self.path = path
            self.readOnly = readOnly
        }
    }

    package var filesystemId: String
    package var name: String
    package var sizeMiB: Int64
    package var attachments: [Attachment]
    package var createdAt: WallTime
    package var updatedAt: WallTime

    package init(
        id: FilesystemID, name: String, sizeMiB: Int64, attachments: [Attachment], createdAt: WallTime,
        updatedAt: WallTime
    ) {
        filesystemId = id.rawValue
        self.name = name
        self.sizeMiB = sizeMiB
        self.attachments = attachments
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }
}

/// One entry of `filesystems` in a create: which filesystem the compute mounts, and where.
package struct MountedFilesystem: Hashable, Sendable {
    package enum Reference: Hashable, Sendable {
        case id(FilesystemID)
        case name(String)
    }

    package static let maxCount = 16
    /// What the system inside stands on: whoever covered it could not start anything. Nothing at or below them.
    static let systemFolders = [
        "bin", "boot", "computesdk", "dev", "etc", "lib", "lib32", "lib64", "proc", "run", "sbin", "sys", "usr",
    ]

    package var reference: Reference
    package var path: String
    package var isReadOnly: Bool

    package init(_ reference: Reference, path: String, isReadOnly: Bool = false) {
        self.reference = reference
        self.path = path
        self.isReadOnly = isReadOnly
    }

    static func list(_ fields: FieldReader) throws(Problem) -> [MountedFilesystem] {
        var list: [MountedFilesystem] = []
        for entry in try fields.objects("filesystems", atMost: maxCount) {
            let mounted = try MountedFilesystem(entry)
            // The same path, and one inside of another, whose folder the outer filesystem would keep.
            guard !list.contains(where: { $0.holds(mounted.path) || mounted.holds($0.path) }) else {
                throw .invalid(entry.path("path"), "\(entry.path("path")) is at, in or around another filesystem")
            }
            guard !list.contains(where: { $0.reference == mounted.reference }) else {
                throw .invalid(
                    entry.path(mounted.reference.field),
                    "\(entry.path(mounted.reference.field)) names a filesystem that is mounted already")
            }
            list.append(mounted)
        }
        return list
    }

    /// Whether a path is the mount point or below it.
    package func holds(_ other: String) -> Bool { other == path || other.hasPrefix(path + "/") }

    private init(_ fields: FieldReader) throws(Problem) {
        switch (try fields.string("name"), try fields.string("filesystemId")) {
        case (let name?, nil):
            try SandboxName.check(fields.path("name"), name)
            reference = .name(name)
        case (nil, let text?):
            guard let id = FilesystemID(text) else {
                throw .invalid(
                    fields.path("filesystemId"), "\(fields.path("filesystemId")): there is no such filesystem")
            }
            reference = .id(id)
        case (nil, nil): throw .invalid(fields.path("name"), "\(fields.path("name")) or filesystemId is required")
        case (.some, .some):
            throw .invalid(
                fields.path("filesystemId"), "\(fields.path("name")) and filesystemId exclude each other")
        }
        path = try Self.checked(try fields.requiredString("path"), fields.path("path"))
        isReadOnly = try fields.bool("readOnly") ?? false
    }

    private static func checked(_ path: String, _ field: String) throws(Problem) -> String {
        let parts = try AbsolutePath.parts(of: path, field: field)
        guard let first = parts.first, !systemFolders.contains(String(first)), path != "/tmp", path != "/home" else {
            throw .invalid(field, "\(field) must not be one of the system's own folders")
        }
        return path
    }
}

extension MountedFilesystem.Reference {
    /// What it was given by.
    package var field: String {
        switch self {
        case .id: "filesystemId"
        case .name: "name"
        }
    }
}
