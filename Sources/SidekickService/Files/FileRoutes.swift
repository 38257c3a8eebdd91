import ComputeCore
import FoundationEssentials
import LinuxSystem
import NIOHTTP1

/// Contract §1.4. Text travels as a JSON string; with `encoding: "base64"` any bytes do. A file that is not UTF-8 is
/// refused as text, because a client that got replacement characters would write them back.
struct FileRoutes: Sendable {
    let files: FileService

    var routes: [SidekickRoute] {
        [
            SidekickRoute(.GET, "/files", handle: list),
            SidekickRoute(.POST, "/files", handle: create),
            SidekickRoute(.POST, "/files/batch", handle: batch),
            SidekickRoute(.GET, "/files/{path...}", handle: get),
            SidekickRoute(.PUT, "/files/{path...}", handle: put),
            SidekickRoute(.DELETE, "/files/{path...}", handle: delete),
            SidekickRoute(.HEAD, "/files/{path...}", handle: get),
        ]
    }

    private func list(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let query = QueryReader(request.query)
        let asked = try query.string("path") ?? ""
        let path = try FilePath(asked.isEmpty ? "." : asked, directory: request.compute.directory)
        let (listed, entries) = try await files.list(path, as: request.compute.user)
        return .success(
            "Files listed",
            data: ["files": .array(entries.map(Self.json)), "path": .string(listed)])
    }

    private func create(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let fields = try await request.fields()
        let path = try FilePath(try fields.requiredString("path"), directory: request.compute.directory)
        return try await write(path, fields, request, "File written", status: 201, contentRequired: false)
    }

    private func put(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let path = try path(request)
        return try await write(
            path, try await request.fields(), request, "File updated", status: 200, contentRequired: true)
    }

    private func write(
        _ path: FilePath, _ fields: FieldReader, _ request: SidekickRequest, _ message: String, status: Int,
        contentRequired: Bool
    ) async throws -> SidekickAnswer {
        let bytes = try Self.content(fields, required: contentRequired)
        let entry = try await files.write(path, bytes, as: request.compute.user)
        return .success(message, status: status, data: ["file": Self.json(entry)])
    }

    /// The bytes that a body's `content` stands for.
    static func content(_ fields: FieldReader, required: Bool) throws(Problem) -> [UInt8] {
        let content = required ? try fields.requiredString("content") : try fields.string("content") ?? ""
        switch try encoding(try fields.string("encoding"), fields.path("encoding")) {
        case .text: return Array(content.utf8)
        case .base64:
            guard let decoded = Data(base64Encoded: content) else {
                throw .invalid(fields.path("content"), "\(fields.path("content")) is not valid base64")
            }
            return Array(decoded)
        }
    }

    private func get(_ request: SidekickRequest) async throws -> SidekickAnswer {
        try await get(request, try path(request))
    }

    /// What the contract answers for a file; other routes come here when a path can also be read as a file's.
    func get(_ request: SidekickRequest, _ path: FilePath) async throws -> SidekickAnswer {
        let query = QueryReader(request.query)
        let user = request.compute.user
        if request.method == .HEAD {
            _ = try await files.status(path, as: user)
            return .status(200)
        }
        guard try query.bool("content") ?? false else {
            let entry = try await files.status(path, follow: try query.bool("follow") ?? true, as: user)
            return .success("File found", data: ["file": Self.json(entry)])
        }
        let encoding = try Self.encoding(try query.string("encoding"))
        let (entry, bytes) = try await files.read(path, as: request.compute.user)
        let content: String
        switch encoding {
        case .base64: content = Data(bytes).base64EncodedString()
        case .text:
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw Problem.invalid(
                    "encoding", "\(entry.path) is not UTF-8 text; read it with encoding=base64")
            }
            content = text
        }
        // At the top too: one of the clients looks there.
        return .success(
            "File read",
            data: [
                "file": Self.json(entry), "content": .string(content), "encoding": .string(encoding.rawValue),
            ], extra: ["content": .string(content)])
    }

    private func delete(_ request: SidekickRequest) async throws -> SidekickAnswer {
        try await delete(request, try path(request))
    }

    func delete(_ request: SidekickRequest, _ path: FilePath) async throws -> SidekickAnswer {
        try await files.remove(path, as: request.compute.user)
        return .noContent
    }

    private func path(_ request: SidekickRequest) throws(Problem) -> FilePath {
        try FilePath(rawTarget: request.parameters[0], directory: request.compute.directory)
    }

    private enum Encoding: String { case text = "utf-8", base64 }

    private static func encoding(_ name: String?, _ field: String = "encoding") throws(Problem) -> Encoding {
        switch name {
        case nil, "", "utf-8", "utf8", "raw", "text": .text
        case "base64": .base64
        default: throw .invalid(field, "\(field) must be \"utf-8\" or \"base64\"")
        }
    }

    static func json(_ entry: FileTree.Entry) -> JSONValue {
        let mode = String(entry.mode, radix: 8)
        var members: [String: JSONValue] = [
            "name": .string(entry.name), "path": .string(entry.path), "size": .int(entry.size),
            "is_dir": .bool(entry.isDirectory),
            "modified_at": .string(WallTime(milliseconds: entry.modifiedAt).rfc3339),
            "mode": .string(String(repeating: "0", count: max(4 - mode.count, 0)) + mode),
            "owner": .int(Int64(entry.uid)), "group": .int(Int64(entry.gid)),
            "is_symlink": .bool(entry.linkTarget != nil),
        ]
        if let target = entry.linkTarget { members["target"] = .string(target) }
        return .object(members)
    }
}
