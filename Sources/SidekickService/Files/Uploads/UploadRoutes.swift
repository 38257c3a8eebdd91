import ComputeCore
import HTTPServing
import LinuxSystem
import NIOCore
import NIOHTTP1

/// `/files/uploads`: files in as many requests as it takes. An id that is none of an upload's may be the name of a file in a
/// directory `uploads`, so then the contract's route answers.
struct UploadRoutes: Sendable {
    let uploads: UploadService
    let contract: FileRoutes

    static let offsetHeader = "Upload-Offset"

    var routes: [SidekickRoute] {
        [
            SidekickRoute(.POST, "/files/uploads", handle: begin),
            SidekickRoute(.GET, "/files/uploads/{id}", handle: offset),
            SidekickRoute(.HEAD, "/files/uploads/{id}", handle: offset),
            SidekickRoute(.PATCH, "/files/uploads/{id}", handle: append),
            SidekickRoute(.DELETE, "/files/uploads/{id}", handle: abort),
            SidekickRoute(.POST, "/files/uploads/{id}/complete", handle: complete),
            SidekickRoute(.PUT, "/files/uploads/{id}/complete", handle: complete),
        ]
    }

    private func begin(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let fields = try await request.fields()
        let path = try FilePath(try fields.requiredString("path"), directory: request.compute.directory)
        let upload = try await uploads.begin(
            path.absolute, size: try fields.integer("size", in: 0...Int64.max),
            sha256: try FileDigest.expected(try fields.string("sha256"), field: "sha256"),
            mode: try fields.string("mode").map { (text) throws(Problem) in try FileMode.parse(text) },
            replacing: try fields.bool("overwrite") ?? true, as: request.compute.user)
        return try await answer(request, upload, offset: 0, status: .created, "Upload begun")
    }

    private func offset(_ request: SidekickRequest) async throws -> SidekickAnswer {
        guard let upload = find(request) else {
            let raw = "uploads/" + request.parameters[0]
            return try await contract.get(request, try FilePath(rawTarget: raw, directory: request.compute.directory))
        }
        return try await answer(
            request, upload, offset: try await uploads.offset(of: upload), status: .ok, "Upload found")
    }

    private func append(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let upload = try known(request)
        let values = request.exchange.head.headers[Self.offsetHeader]
        guard values.count == 1, let offset = Int64(values[0]), offset >= 0 else {
            throw Problem.invalid(Self.offsetHeader, "\(Self.offsetHeader) must say at which byte the body begins")
        }
        let current = upload.file.size
        guard offset == current else {
            // By this the client goes on without asking first.
            try await AnswerWriter.write(
                Problem(
                    status: 409, code: .conflict, message: "the upload is at byte \(current), not \(offset)",
                    field: Self.offsetHeader),
                to: request.exchange, request.requestID, extra: [Self.offsetHeader: "\(current)"])
            return .written
        }
        let reached = try await uploads.append(request.exchange.body, at: offset, to: upload)
        guard reached == upload.size else {
            return try await answer(request, upload, offset: reached, status: .ok, "Upload continued")
        }
        return try await complete(upload, expecting: nil)
    }

    private func complete(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let upload = try known(request)
        let fields = try await request.fields()
        return try await complete(
            upload, expecting: try FileDigest.expected(try fields.string("sha256"), field: "sha256"))
    }

    private func complete(_ upload: UploadTable.Upload, expecting sha256: String?) async throws -> SidekickAnswer {
        let (entry, sha256, isNew) = try await uploads.complete(upload, expecting: sha256)
        return .success(
            "File written", status: isNew ? 201 : 200,
            data: [
                "id": .string(upload.id), "offset": .int(entry.size), "complete": .bool(true),
                "file": FileRoutes.json(entry), "sha256": .string(sha256),
            ])
    }

    private func abort(_ request: SidekickRequest) async throws -> SidekickAnswer {
        guard let upload = find(request) else {
            let raw = "uploads/" + request.parameters[0]
            return try await contract.delete(
                request, try FilePath(rawTarget: raw, directory: request.compute.directory))
        }
        uploads.abort(upload)
        return .noContent
    }

    private func find(_ request: SidekickRequest) -> UploadTable.Upload? {
        uploads.find(request.parameters[0], as: request.compute.user)
    }

    private func known(_ request: SidekickRequest) throws(Problem) -> UploadTable.Upload {
        guard let upload = find(request) else {
            throw Problem(
                status: 404, code: .notFound, message: "there is no such upload; it may have ended or expired",
                field: "id")
        }
        return upload
    }

    private func answer(
        _ request: SidekickRequest, _ upload: UploadTable.Upload, offset: Int64, status: HTTPResponseStatus,
        _ message: String
    ) async throws -> SidekickAnswer {
        var data: [String: JSONValue] = [
            "id": .string(upload.id), "path": .string(upload.file.path), "offset": .int(offset),
            "complete": .bool(false),
            "expires_in": .int(UploadTable.maxIdle.components.seconds),
        ]
        if let size = upload.size { data["size"] = .int(size) }
        var headers = AnswerWriter.headers(request.requestID, "application/json")
        headers.add(name: Self.offsetHeader, value: "\(offset)")
        headers.add(name: "Cache-Control", value: "no-store")
        let body = try AnswerWriter.encode(
            JSONValue.object([
                "status": .string("success"), "message": .string(message), "data": .object(data),
            ]))
        try await request.exchange.respond(
            status: status, headers: headers, body: request.method == .HEAD ? nil : body)
        return .written
    }
}
