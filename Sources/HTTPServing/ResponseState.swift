import NIOCore
import NIOHTTP1

/// What of a response has been sent and what may follow. No I/O: every step answers the bytes to write.
struct ResponseState {
    private enum Phase {
        case notStarted
        /// `left` counts down a Content-Length; nil when chunked or until close.
        case streaming(Framing)
        case finished
        /// The connection is no longer HTTP.
        case upgraded
        /// What was sent is not a whole response; only closing tells the peer so.
        case broken
    }

    enum Framing: Equatable {
        /// HEAD, 204, 304: whatever is written is dropped.
        case none
        case length(left: Int)
        case chunked
        case untilClose
    }

    private let request: HTTPRequestHead
    private var phase = Phase.notStarted
    private(set) var keepsAlive: Bool
    /// Of the head that was sent.
    private(set) var status: HTTPResponseStatus?

    init(request: HTTPRequestHead) {
        self.request = request
        // The parser stops at an upgrade request. One that we answer without an upgrade is the connection's last.
        self.keepsAlive = request.isKeepAlive && MessageRules.upgrade(request) == nil && request.method != .CONNECT
    }

    var started: Bool {
        if case .notStarted = phase { false } else { true }
    }
    var isUpgraded: Bool {
        if case .upgraded = phase { true } else { false }
    }
    var isFinished: Bool {
        if case .finished = phase { true } else { false }
    }

    mutating func closeAfterwards() { keepsAlive = false }

    /// Once its head is out it has said what becomes of the connection.
    mutating func closeBeforeStart() { if !started { keepsAlive = false } }

    /// A whole response of known size.
    mutating func respond(
        status: HTTPResponseStatus, headers: HTTPHeaders, body: ByteBuffer?
    ) throws -> [ByteBuffer] {
        var headers = headers
        if allowsBody(status), body != nil || (request.method != .HEAD || !headers.contains(name: "content-length")) {
            headers.replaceOrAdd(name: "Content-Length", value: String(body?.readableBytes ?? 0))
        }
        var parts = [try start(status: status, headers: headers)]
        if let body { parts += try write(body) }
        parts += try finish(trailers: nil)
        return parts
    }

    /// The head; what follows goes through `write` and `finish`.
    mutating func start(status: HTTPResponseStatus, headers: HTTPHeaders) throws -> ByteBuffer {
        guard !started else { throw HTTPServingError(.responseAlreadyStarted, "this request has its response") }
        guard status.code >= 200 else {
            throw HTTPServingError(.invalidMessage, "\(status.code) is not a final status")
        }
        try MessageRules.check(headers)
        var headers = headers
        headers.remove(name: "transfer-encoding")
        let framing: Framing
        if !allowsBody(status) {
            if status.code == 204 { headers.remove(name: "content-length") }
            framing = .none
        } else if let values = Optional(headers["content-length"]), !values.isEmpty {
            guard values.count == 1, let length = MessageRules.length(values[0]) else {
                throw HTTPServingError(.invalidMessage, "invalid Content-Length")
            }
            framing = request.method == .HEAD ? .none : .length(left: length)
        } else if !MessageRules.isOld(request) {
            headers.add(name: "Transfer-Encoding", value: "chunked")
            framing = request.method == .HEAD ? .none : .chunked
        } else {
            framing = request.method == .HEAD ? .none : .untilClose
            keepsAlive = false
        }
        setConnection(&headers)
        phase = .streaming(framing)
        self.status = status
        return MessageBytes.head(status: status, headers: headers)
    }

    mutating func write(_ bytes: ByteBuffer) throws -> [ByteBuffer] {
        guard case .streaming(let framing) = phase else {
            throw HTTPServingError(.invalidState, "no response is open")
        }
        guard bytes.readableBytes > 0 else { return [] }
        switch framing {
        case .none: return []
        case .chunked: return MessageBytes.chunk(bytes)
        case .untilClose: return [bytes]
        case .length(let left):
            guard bytes.readableBytes <= left else {
                throw HTTPServingError(.invalidMessage, "more bytes than Content-Length says")
            }
            phase = .streaming(.length(left: left - bytes.readableBytes))
            return [bytes]
        }
    }

    /// Some of a file. Framing lies around the parts of a body in all answers but those with a length.
    /// - Returns: false when the answer has no body.
    mutating func writeFile(_ count: Int) throws -> Bool {
        switch phase {
        case .streaming(.none): return false
        case .streaming(.length(let left)) where count <= left:
            phase = .streaming(.length(left: left - count))
            return true
        default: throw HTTPServingError(.invalidState, "no response with a Content-Length is open for so many bytes")
        }
    }

    mutating func finish(trailers: HTTPHeaders?) throws -> [ByteBuffer] {
        guard case .streaming(let framing) = phase else {
            throw HTTPServingError(.invalidState, "no response is open")
        }
        switch framing {
        case .none, .untilClose, .length(left: 0):
            phase = .finished
            return []
        case .chunked:
            if let trailers { try MessageRules.check(trailers) }
            phase = .finished
            return [MessageBytes.lastChunk(trailers: trailers)]
        case .length(let left):
            phase = .broken
            keepsAlive = false
            throw HTTPServingError(.invalidMessage, "\(left) bytes fewer than Content-Length says")
        }
    }

    /// The 101 head. The caller switches the pipeline afterwards.
    mutating func upgrade(status: HTTPResponseStatus, headers: HTTPHeaders) throws -> ByteBuffer {
        guard !started else { throw HTTPServingError(.responseAlreadyStarted, "this request has its response") }
        try MessageRules.check(headers)
        phase = .upgraded
        keepsAlive = false
        self.status = status
        return MessageBytes.head(status: status, headers: headers)
    }

    private func allowsBody(_ status: HTTPResponseStatus) -> Bool { status.code != 204 && status.code != 304 }

    private mutating func setConnection(_ headers: inout HTTPHeaders) {
        if MessageRules.tokens(headers, "connection").contains("close") { keepsAlive = false }
        if !keepsAlive {
            headers.replaceOrAdd(name: "Connection", value: "close")
        } else if MessageRules.isOld(request) {
            headers.replaceOrAdd(name: "Connection", value: "keep-alive")
        }
    }
}
