import ComputeCore
import HTTPServing
import NIOCore
import NIOHTTP1

/// `POST /files/search` and `/files/find`: a list, or a stream of lines for who asks for `application/x-ndjson`.
struct SearchRoutes: Sendable {
    let search: SearchService

    /// A list is built in memory; more results want the stream.
    static let maxListed = 10_000

    var routes: [SidekickRoute] {
        [
            SidekickRoute(.POST, "/files/search") { request in try await run(request, isContentSearched: true) },
            SidekickRoute(.POST, "/files/find") { request in try await run(request, isContentSearched: false) },
        ]
    }

    private func run(_ request: SidekickRequest, isContentSearched: Bool) async throws -> SidekickAnswer {
        let fields = try await request.fields()
        let asked = try SearchRequest(
            fields, directory: request.compute.directory, isContentSearched: isContentSearched)
        let wantsStream =
            try fields.bool("stream")
            ?? request.exchange.head.headers[canonicalForm: "accept"].contains { $0.hasPrefix("application/x-ndjson") }
        if wantsStream { return try await stream(request, asked) }
        guard asked.maxResults <= Self.maxListed else {
            throw Problem.invalid("max_results", "max_results above \(Self.maxListed) needs stream: true")
        }
        var listed: [JSONValue] = []
        let summary = try await search.run(asked, as: request.compute.user) { results in
            listed += results.map(Self.json)
        }
        var data = Self.json(summary)
        data["results"] = .array(listed)
        return .success("Search done", data: data)
    }

    private func stream(_ request: SidekickRequest, _ asked: SearchRequest) async throws -> SidekickAnswer {
        var headers = AnswerWriter.headers(request.requestID, "application/x-ndjson")
        headers.add(name: "Cache-Control", value: "no-store")
        headers.add(name: "X-Accel-Buffering", value: "no")
        var writer: HTTPResponseWriter?
        let summary = try await search.run(asked, as: request.compute.user) { results in
            var bytes = ByteBuffer()
            for result in results {
                bytes.writeImmutableBuffer(try AnswerWriter.encode(Self.json(result)))
                bytes.writeString("\n")
            }
            if writer == nil { writer = try await request.exchange.startResponse(status: .ok, headers: headers) }
            try await writer?.write(bytes)
        }
        var last = Self.json(summary)
        last["done"] = .bool(true)
        var bytes = try AnswerWriter.encode(JSONValue.object(last))
        bytes.writeString("\n")
        if writer == nil { writer = try await request.exchange.startResponse(status: .ok, headers: headers) }
        try await writer?.write(bytes)
        try await writer?.finish()
        return .written
    }

    private static func json(_ result: SearchResult) -> JSONValue {
        var members: [String: JSONValue] = ["path": .string(result.path)]
        guard let line = result.line else {
            members["type"] = .string(result.kind.rawValue)
            members["size"] = .int(result.size)
            return .object(members)
        }
        members["line"] = .int(Int64(line.number))
        members["column"] = .int(Int64(line.column))
        members["length"] = .int(Int64(line.length))
        members["text"] = .string(line.text)
        if !line.before.isEmpty { members["before"] = .array(line.before.map(JSONValue.string)) }
        if !line.after.isEmpty { members["after"] = .array(line.after.map(JSONValue.string)) }
        return .object(members)
    }

    private static func json(_ summary: SearchSummary) -> [String: JSONValue] {
        var members: [String: JSONValue] = [
            "count": .int(Int64(summary.results)), "files": .int(Int64(summary.files)),
            "skipped": .int(Int64(summary.skipped)), "truncated": .bool(summary.limit != nil),
        ]
        if let limit = summary.limit { members["limit"] = .string(limit.rawValue) }
        return members
    }
}
