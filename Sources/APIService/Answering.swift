import APIContract
import ComputeCore
import FoundationEssentials
import HTTPTypes
import Hummingbird
import NIOCore

// How answers become bytes: one place, so that every body is JSON with a length and the one error body is the one.

extension HTTPField.Name {
    static let requestID = HTTPField.Name("X-Request-Id")!
    static let traceparent = HTTPField.Name(TraceContext.header)!
    static let serverTiming = HTTPField.Name("Server-Timing")!
    static let apiKey = HTTPField.Name("X-ComputeSDK-API-Key")!
    static let group = HTTPField.Name(KeyMiddleware.groupHeader)!
    /// What the events client calls it.
    static let plainAPIKey = HTTPField.Name("X-API-Key")!
    static let idempotencyKey = HTTPField.Name(RetryKey.header)!
    static let forwardedFor = HTTPField.Name("X-Forwarded-For")!
    static let retryAfter = HTTPField.Name("Retry-After")!
}

enum Answer {
    static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return json(ByteBuffer(bytes: try encoder.encode(value)), status: status)
    }

    /// The same of a document that was put together already.
    static func document(_ value: JSONValue) -> Response { json(ByteBuffer(bytes: value.utf8(sortingKeys: true))) }

    private static func json(_ body: ByteBuffer, status: HTTPResponse.Status = .ok) -> Response {
        // Answers carry tokens; no cache on the way has any business with them.
        Response(
            status: status, headers: [.contentType: "application/json", .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: body))
    }

    static func success(_ data: some Encodable & Sendable) throws -> Response { try json(Success(data)) }

    static func problem(_ problem: Problem, _ requestID: ComputeCore.RequestID) -> Response {
        let status = HTTPResponse.Status(code: problem.status)
        // The body's fields are plain strings: encoding them cannot fail. If it did, the status still says it.
        var response = (try? json(problem.body(requestID: requestID), status: status)) ?? Response(status: status)
        // What is left of the body has no place in front of another request.
        if problem.status == 408 { response.headers[.connection] = "close" }
        if let seconds = problem.retryAfterSeconds { response.headers[.retryAfter] = String(seconds) }
        return response
    }
}

extension Request {
    static let maxBodyBytes = 1 << 20

    /// The body as JSON, whatever its content type says: clients send none, or the wrong one.
    func document() async throws -> JSONValue { try JSONDocument.parse(Array(try await wholeBody().readableBytesView)) }

    /// - Throws: 413; 408 when it does not come in time.
    func wholeBody() async throws -> ByteBuffer {
        if let length = headers[.contentLength].flatMap({ Int($0) }), length > Self.maxBodyBytes {
            throw Problem.bodyTooLarge
        }
        // One that says neither has none (RFC 9112, 6.3), and nothing to wait for.
        if headers[.contentLength] == nil && headers[.transferEncoding] == nil { return ByteBuffer() }
        let (body, deadline) = (body, BodyDeadline.current)
        return try await withThrowingTaskGroup(of: ByteBuffer.self) { group in
            group.addTask { try await Self.collect(body) }
            group.addTask {
                try await Task.sleep(for: deadline)
                throw Problem.bodyTooSlow
            }
            defer { group.cancelAll() }
            guard let bytes = try await group.next() else { throw CancellationError() }
            return bytes
        }
    }

    private static func collect(_ body: RequestBody) async throws -> ByteBuffer {
        var bytes = ByteBuffer()
        for try await var chunk in body {
            guard bytes.readableBytes + chunk.readableBytes <= maxBodyBytes else { throw Problem.bodyTooLarge }
            bytes.writeBuffer(&chunk)
        }
        return bytes
    }

    /// - Returns: nil when the parameter is absent or empty.
    func query(_ name: String) -> String? {
        guard let value = uri.queryParameters[name[...]], !value.isEmpty else { return nil }
        return String(value)
    }

    func limit(default standard: Int) throws(Problem) -> Int {
        guard let text = query("limit") else { return standard }
        guard let limit = Int(text), (1...1000).contains(limit) else {
            throw .invalid("limit", "limit must be a whole number from 1 to 1000")
        }
        return limit
    }
}

extension Problem {
    static let bodyTooSlow = Problem(
        status: 408, code: .requestTimeout, message: "the request's body did not arrive in time")
    static let bodyTooLarge = Problem(
        status: 413, code: .tooLarge, message: "the request body is larger than \(Request.maxBodyBytes) bytes")
}
