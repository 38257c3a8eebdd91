import ComputeCore
import FoundationEssentials
import HTTPServing
import LinuxSystem
import NIOCore
import NIOHTTP1

/// Writes answers. The one place where the Sidekick's JSON and its errors meet HTTP.
enum AnswerWriter {
    static func write(_ answer: SidekickAnswer, to exchange: HTTPExchange, _ id: RequestID) async throws {
        switch answer {
        case .json(let status, let document):
            try await exchange.respond(
                status: HTTPResponseStatus(statusCode: status), headers: headers(id, "application/json"),
                body: ByteBuffer(bytes: document.utf8))
        case .noContent: try await exchange.respond(status: .noContent, headers: headers(id, nil))
        case .status(let status):
            try await exchange.respond(status: HTTPResponseStatus(statusCode: status), headers: headers(id, nil))
        case .written: break
        }
    }

    static func write(
        _ problem: Problem, to exchange: HTTPExchange, _ id: RequestID, extra: HTTPHeaders = [:]
    ) async throws {
        var headers = headers(id, "application/json")
        headers.add(contentsOf: extra)
        if let seconds = problem.retryAfterSeconds { headers.add(name: "Retry-After", value: "\(seconds)") }
        if problem.status == 401 { headers.add(name: "WWW-Authenticate", value: "Bearer") }
        try await exchange.respond(
            status: HTTPResponseStatus(statusCode: problem.status), headers: headers,
            body: try encode(problem.body(requestID: id)))
    }

    static func headers(_ id: RequestID, _ contentType: String?) -> HTTPHeaders {
        var headers: HTTPHeaders = ["X-Request-Id": id.rawValue]
        if let contentType { headers.add(name: "Content-Type", value: contentType) }
        return headers
    }

    static func encode(_ document: some Encodable) throws -> ByteBuffer {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.withoutEscapingSlashes]
        return ByteBuffer(bytes: try encoder.encode(document))
    }

    /// Answers what a handler threw, as long as there is somebody to answer. A client that goes is nothing special: its
    /// request is cancelled or its body ends early, and the server closes the connection when it gets the error back.
    /// - Returns: the status that it wrote; nil: nothing, and the error is for the server.
    static func write(failure error: any Error, to exchange: HTTPExchange, _ id: RequestID) async throws -> Int? {
        let isGone = Task.isCancelled || (error as? HTTPServingError)?.code == .connectionClosed
        guard !isGone, !exchange.responseStarted else { return nil }
        let problem = problem(error, id)
        try await write(problem, to: exchange, id)
        return problem.status
    }

    /// What a handler's error becomes. Only a `Problem` was meant for the client, and what the client itself did to the
    /// connection is for it to know; the rest is logged.
    private static func problem(_ error: any Error, _ id: RequestID) -> Problem {
        if let problem = error as? Problem { return problem }
        switch (error as? HTTPServingError)?.code {
        case .malformed?:
            return Problem(status: 400, code: .invalidRequest, message: "the request body breaks the rules of HTTP")
        case .notUpgradable?:
            return Problem(
                status: 400, code: .invalidRequest, message: "the upgrade is not one to a WebSocket of version 13")
        default:
            SidekickLog.write(.error, "request failed", ["requestId": id.rawValue, "reason": "\(error)"])
            return Problem(status: 500, code: .internalError, message: "the Sidekick failed to answer")
        }
    }
}

extension RequestID {
    /// The caller's id if it is one that may go into headers and logs, else a new one.
    init(of head: HTTPRequestHead) {
        guard let text = head.headers.first(name: "X-Request-Id"), (1...128).contains(text.utf8.count),
            text.utf8.allSatisfy({ byte in
                byte.isLowercaseLetter || byte.isDigit || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
                    || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
            })
        else {
            self = .random()
            return
        }
        self.init(text)
    }
}

extension TraceContext {
    /// The caller's, if there is one.
    init?(of head: HTTPRequestHead) {
        guard let text = head.headers.first(name: Self.header) else { return nil }
        self.init(text)
    }
}

/// A raw request target, cut at the first `?`.
struct RawTarget {
    let path: String
    let query: String

    init(_ target: String) {
        let mark = target.utf8.firstIndex(of: UInt8(ascii: "?"))
        path = String(target[..<(mark ?? target.endIndex)])
        query = mark.map { String(target[target.utf8.index(after: $0)...]) } ?? ""
    }
}
