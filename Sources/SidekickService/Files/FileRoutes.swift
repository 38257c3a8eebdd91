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
            SidekickRoute(.GET, "/files/{path...}", handle: get),
            SidekickRoute(.PUT, "/files/{path...}", handle: put),
            SidekickRoute(.DELETE, "/files/{path...}", handle: delete),
            SidekickRoute(.HEAD, "/files/{path...}", handle: head),
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
        let content = contentRequired ? try fields.requiredString("content") : try fields.string("content") ?? ""
        let bytes: [UInt8]
        switch try Self.encoding(try fields.string("encoding")) {
        case .text: bytes = Array(content.utf8)
        case .base64:
            guard let decoded = Data(base64Encoded: content) else {
                throw Problem.invalid("content", "content is not valid base64")
            }
            bytes = Array(decoded)
        }
        let entry = try await files.write(path, bytes, as: request.compute.user)
        return .success(message, status: status, data: ["file": Self.json(entry)])
    }

    private func get(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let path = try path(request)
        let query = QueryReader(request.query)
        guard try query.bool("content") ?? false else {
            return .success(
                "File found", data: ["file": Self.json(try await files.status(path, as: request.compute.user))])
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
        try await files.remove(try path(request), as: request.compute.user)
        return .noContent
    }

    private func head(_ request: SidekickRequest) async throws -> SidekickAnswer {
        _ = try await files.status(try path(request), as: request.compute.user)
        return .status(200)
    }

    private func path(_ request: SidekickRequest) throws(Problem) -> FilePath {
        try FilePath(rawTarget: request.parameters[0], directory: request.compute.directory)
    }

    private enum Encoding: String { case text = "utf-8", base64 }

    private static func encoding(_ name: String?) throws(Problem) -> Encoding {
        switch name {
        case nil, "", "utf-8", "utf8", "raw", "text": .text
        case "base64": .base64
        default: throw .invalid("encoding", "encoding must be \"utf-8\" or \"base64\"")
        }
    }

    private static func json(_ entry: FileTree.Entry) -> JSONValue {
        .object([
            "name": .string(entry.name), "path": .string(entry.path), "size": .int(entry.size),
            "is_dir": .bool(entry.isDirectory),
            "modified_at": .string(WallTime(milliseconds: entry.modifiedAt).rfc3339),
        ])
    }
}
