import ComputeCore
import HTTPServing
import LinuxSystem
import NIOCore
import NIOHTTP1

/// `/files/content/{path}`: files as they are, of any size, in constant memory.
///
/// A relative path of the contract may begin with `content/` too. It is meant when the query asks for what only the contract
/// knows (`content`, `encoding`, `follow`), or when there is nothing at the other reading. An absolute path has one reading.
struct FileContentRoutes: Sendable {
    let contract: FileRoutes
    private var files: FileService { contract.files }

    init(contract: FileRoutes) { self.contract = contract }

    var routes: [SidekickRoute] {
        [
            SidekickRoute(.GET, "/files/content/{path...}", handle: get),
            SidekickRoute(.HEAD, "/files/content/{path...}", handle: get),
            SidekickRoute(.PUT, "/files/content/{path...}", handle: put),
        ]
    }

    // MARK: - Down

    private func get(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let raw = request.parameters[0]
        let query = QueryReader(request.query)
        let asksContract = query.has("content") || query.has("encoding") || query.has("follow")
        guard !raw.isEmpty, !asksContract else { return try await asContract(request) }
        let path = try FilePath(rawTarget: raw, directory: request.compute.directory)
        let file: OpenedFile
        do {
            file = try await files.open(path, as: request.compute.user)
        } catch let problem as Problem where problem.status == 404 || problem.status == 409 {
            do { return try await asContract(request) } catch { throw problem }
        }
        try await answer(request, file)
        return .written
    }

    private func asContract(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let raw = "content/" + request.parameters[0]
        return try await contract.get(request, try FilePath(rawTarget: raw, directory: request.compute.directory))
    }

    private func answer(_ request: SidekickRequest, _ file: OpenedFile) async throws {
        let asked = request.exchange.head.headers
        var headers = AnswerWriter.headers(request.requestID, "application/octet-stream")
        headers.add(name: "Last-Modified", value: file.lastModified)
        headers.add(name: "ETag", value: file.entityTag)
        headers.add(name: "Accept-Ranges", value: "bytes")
        // It is a user's file: no browser may take it for a page of ours.
        headers.add(name: "X-Content-Type-Options", value: "nosniff")
        headers.add(name: "Content-Security-Policy", value: "sandbox")
        if let tags = asked.first(name: "If-None-Match"),
            tags == "*" || tags.split(separator: ",").contains(where: { Self.names($0, file.entityTag) })
        {
            return try await request.exchange.respond(status: .notModified, headers: headers)
        }
        let condition = asked.first(name: "If-Range")
        let holds = condition == nil || condition == file.entityTag || condition == file.lastModified
        // A range is defined for GET alone.
        let range = request.method == .GET && holds ? asked.first(name: "Range") : nil
        let part: Range<Int64>
        let status: HTTPResponseStatus
        switch ByteRange(range, size: file.size) {
        case .whole:
            part = 0..<file.size
            status = .ok
        case .part(let range):
            part = range.lowerBound..<range.upperBound + 1
            status = .partialContent
            headers.add(name: "Content-Range", value: "bytes \(range.lowerBound)-\(range.upperBound)/\(file.size)")
        case .unsatisfiable:
            return try await AnswerWriter.write(
                Problem(
                    status: 416, code: "range_not_satisfiable", message: "the file has \(file.size) bytes",
                    field: "Range"),
                to: request.exchange, request.requestID, extra: ["Content-Range": "bytes */\(file.size)"])
        }
        if request.method == .HEAD, try QueryReader(request.query).bool("sha256") ?? false {
            let digest = try await files.digest(file, as: request.compute.user)
            headers.add(name: FileDigest.header, value: digest)
        }
        headers.add(name: "Content-Length", value: "\(part.count)")
        guard request.method == .GET else {
            return try await request.exchange.respond(status: status, headers: headers)
        }
        try await stream(file, part, as: request.compute.user) { region in
            try await request.exchange.startResponse(status: status, headers: headers, with: region)
        }
    }

    private static func names(_ item: Substring, _ tag: String) -> Bool {
        var item = item.drop { $0 == " " }
        while item.last == " " { item = item.dropLast() }
        // What a cache asks for is compared weakly.
        return item == tag || item == "W/\(tag)"
    }

    /// From the kernel's cache to the socket. What is not in the cache yet is fetched while the part before it is on its way.
    private func stream(
        _ file: OpenedFile, _ part: Range<Int64>, as user: UserIdentity,
        start: (FileRegion) async throws -> HTTPResponseWriter
    ) async throws {
        // It borrows the descriptor: every write has ended when this returns, in whatever way.
        let handle = NIOFileHandle(_deprecatedTakingOwnershipOfDescriptor: file.file.raw)
        defer { _ = try? handle.takeDescriptorOwnership() }
        let scratch = OpenedFile.Piece()
        var current = OpenedFile.portion(of: part, at: part.lowerBound)
        try await files.fetch(file, current, through: scratch, as: user)
        var writer: HTTPResponseWriter?
        repeat {
            let next = OpenedFile.portion(of: part, at: current.upperBound)
            let region = FileRegion(
                fileHandle: handle, readerIndex: Int(current.lowerBound), endIndex: Int(current.upperBound))
            async let isFetched: Void = files.fetch(file, next, through: scratch, as: user)
            if let writer { try await writer.write(region) } else { writer = try await start(region) }
            try await isFetched
            current = next
        } while !current.isEmpty
        try await writer?.finish()
    }

    // MARK: - Up

    private func put(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let path = try FilePath(rawTarget: request.parameters[0], directory: request.compute.directory)
        let query = QueryReader(request.query)
        let headers = request.exchange.head.headers
        guard !headers.contains(name: "Content-Range") else {
            throw Problem.invalid("Content-Range", "a part of a file cannot be put; see /files/uploads")
        }
        let expected = try FileDigest.expected(
            try query.string("sha256") ?? headers.first(name: FileDigest.header), field: "sha256")
        let mode = try query.string("mode").map { (text) throws(Problem) in try FileMode.parse(text) }
        let replacing = try query.bool("overwrite") ?? true
        let user = request.compute.user
        let file = try await files.begin(path.absolute, mode: mode, as: user)
        // Whatever goes wrong from here on leaves the old file, and nothing beside it.
        defer { file.discard() }
        let files = files
        try await BodyPieces(body: request.exchange.body).forEach { piece in
            try await files.append(piece, to: file, at: file.size, as: user)
        }
        let (entry, sha256, isNew) = try await files.complete(file, expecting: expected, replacing: replacing, as: user)
        return .success(
            "File written", status: isNew ? 201 : 200,
            data: ["file": FileRoutes.json(entry), "sha256": .string(sha256)])
    }
}
