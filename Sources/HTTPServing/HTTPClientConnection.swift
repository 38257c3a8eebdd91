package import ComputeCore
import Glibc
package import NIOCore
package import NIOHTTP1
import NIOPosix
import Synchronization

/// One HTTP/1.1 client connection for proxies: heads go out and come in exactly as they are, one request at a time,
/// both directions independently (an answer may come before the request's body is finished).
package final class HTTPClientConnection: Sendable {
    private enum Sending {
        case idle
        /// Nil: the head announced no body.
        case body(chunked: Bool, left: Int?)
        case finished
    }

    private struct State {
        var sending = Sending.idle
        var received: HTTPResponseHead?
        var body: BodyReader?
        var isReusable = true
    }

    private let line: Line
    private let pipeline: NIOLoopBound<ClientPipeline>
    private let state = Mutex(State())

    private init(line: Line, pipeline: NIOLoopBound<ClientPipeline>) {
        self.line = line
        self.pipeline = pipeline
    }

    /// `connectTimeout`, or `connectFailed` with the system's error as the cause; see `HTTPServingError.isRefused`.
    package static func connect(to endpoint: Endpoint, timeout: Duration) async throws -> HTTPClientConnection {
        do {
            return try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connectTimeout(TimeAmount(timeout))
                .channelOption(.autoRead, value: false)
                // Else the kernel's EOF would close the channel before bytes behind a 101 were handed over.
                .channelOption(.allowRemoteHalfClosure, value: true)
                .connect(to: try endpoint.socketAddress()) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        if case .tcp = endpoint {
                            try channel.syncOptions?.setOption(.tcpOption(.tcp_nodelay), value: 1)
                        }
                        let inbound = BoundedQueue<InboundPart> { channel.read() }
                        let pipeline = try ClientPipeline.install(on: channel, inbound: inbound)
                        return HTTPClientConnection(
                            line: Line(
                                channel: channel, inbound: inbound, stallTimeout: HTTPLimits.defaultStallTimeout),
                            pipeline: NIOLoopBound(pipeline, eventLoop: channel.eventLoop))
                    }
                }
        } catch let error as ChannelError {
            if case .connectTimeout = error {
                throw HTTPServingError(.connectTimeout, "no connection to \(endpoint) in time", cause: error)
            }
            throw HTTPServingError(.connectFailed, "cannot connect to \(endpoint)", cause: error)
        } catch {
            throw HTTPServingError(.connectFailed, "cannot connect to \(endpoint)", cause: error)
        }
    }

    // MARK: - Request

    /// Starts a request. The framing headers decide how `sendBody` writes: chunked, counted, or no body at all.
    package func sendHead(_ head: HTTPRequestHead) async throws {
        guard MessageRules.isValidTarget(head.uri), MessageRules.isValidName(head.method.rawValue) else {
            throw HTTPServingError(.invalidMessage, "invalid method or target")
        }
        try MessageRules.check(head.headers)
        let chunked = MessageRules.tokens(head.headers, "transfer-encoding").last == "chunked"
        let length = head.headers.first(name: "content-length").flatMap(MessageRules.length)
        guard isReusable else {
            throw HTTPServingError(
                line.channel.isActive ? .invalidState : .connectionClosed, "the connection is not free for a request")
        }
        try state.withLock {
            guard $0.isReusable else {
                throw HTTPServingError(.invalidState, "two tasks send a request at once")
            }
            $0 = State(sending: .body(chunked: chunked, left: chunked ? nil : length ?? 0), isReusable: false)
        }
        try await line.write(parts: [HTTPClientRequestPart.head(head)])
    }

    package func sendBody(_ bytes: ByteBuffer) async throws {
        guard bytes.readableBytes > 0 else { return }
        let parts = try state.withLock { state -> [ByteBuffer] in
            guard case .body(let chunked, let left) = state.sending else {
                throw HTTPServingError(.invalidState, "no request is open")
            }
            if chunked { return MessageBytes.chunk(bytes) }
            guard let left, bytes.readableBytes <= left else {
                throw HTTPServingError(.invalidMessage, "more bytes than the request's head says")
            }
            state.sending = .body(chunked: false, left: left - bytes.readableBytes)
            return [bytes]
        }
        try await line.write(parts: parts.map { HTTPClientRequestPart.body(.byteBuffer($0)) })
    }

    package func finish(trailers: HTTPHeaders? = nil) async throws {
        if let trailers { try MessageRules.check(trailers) }
        let last = try state.withLock { state -> ByteBuffer? in
            guard case .body(let chunked, let left) = state.sending else {
                throw HTTPServingError(.invalidState, "no request is open")
            }
            if !chunked, let left, left > 0 {
                throw HTTPServingError(.invalidMessage, "\(left) bytes fewer than Content-Length says")
            }
            state.sending = .finished
            return chunked ? MessageBytes.lastChunk(trailers: trailers) : nil
        }
        if let last { try await line.write(parts: [HTTPClientRequestPart.body(.byteBuffer(last))]) }
    }

    // MARK: - Response

    /// The final response's head, or a 101. Other informational responses are skipped.
    package func receiveHead() async throws -> HTTPResponseHead {
        guard case .response(let head)? = try await next() else {
            throw HTTPServingError(.connectionClosed, "the connection closed before a response came")
        }
        state.withLock {
            $0.received = head
            $0.body = BodyReader(inbound: line.inbound)
        }
        return head
    }

    /// The response's body; without a length it lasts until the peer closes.
    package var body: HTTPBody {
        HTTPBody(reader: state.withLock { $0.body } ?? BodyReader(inbound: line.inbound))
    }

    /// After a 101: the connection as a pipe of bytes, from the first one behind the head.
    package func becomeTunnel() async throws -> ByteTunnel {
        let reader = try state.withLock { state in
            guard let head = state.received, head.status == .switchingProtocols, let body = state.body else {
                throw HTTPServingError(.notUpgradable, "the peer did not switch protocols")
            }
            return body
        }
        guard try await reader.next() == nil else {
            throw HTTPServingError(.malformed, "a 101 with a body")
        }
        let (channel, pipeline, inbound) = (line.channel, pipeline, line.inbound)
        do {
            try await channel.eventLoop.flatSubmit { () -> EventLoopFuture<Void> in
                let old = pipeline.value
                let operations = channel.pipeline.syncOperations
                operations.removeHandler(old.receiver, promise: nil)
                operations.removeHandler(old.encoder, promise: nil)
                do {
                    try operations.addHandler(
                        PartReceiver<ByteBuffer>(inbound: inbound, endsCleanly: true) { (.bytes($1), $1.readableBytes) }
                    )
                } catch {
                    return channel.eventLoop.makeFailedFuture(error)
                }
                return operations.removeHandler(old.decoder).map { pipeline.value.gate.release() }
            }.get()
        } catch {
            throw HTTPServingError(.connectionClosed, "the connection closed during the upgrade", cause: error)
        }
        return ByteTunnel(line: line)
    }

    /// True before the first request, and when request and answer were whole and the peer keeps the connection.
    /// The peer may still close it at any moment: a request that fails on a reused connection without any answer may
    /// be tried again elsewhere if it is safe to.
    package var isReusable: Bool {
        state.withLock { state in
            guard line.channel.isActive, !line.inbound.isFinished, line.inbound.isEmpty else { return false }
            if state.isReusable { return true }
            guard case .finished = state.sending, let head = state.received, head.isKeepAlive,
                head.status != .switchingProtocols, state.body?.ended == true
            else { return false }
            state.sending = .idle
            state.isReusable = true
            return true
        }
    }

    /// Whoever still reads gets an error: the end of the connection must not pass for the end of an answer without
    /// length, or of a tunnel's stream.
    package func close() async {
        line.inbound.finish(throwing: HTTPServingError(.connectionClosed, "closed on this side"))
        await line.close()
    }

    private func next() async throws -> InboundPart? {
        do {
            return try await line.inbound.next()
        } catch {
            throw HTTPServingError.translating(error)
        }
    }
}

extension HTTPServingError {
    /// Nobody listens there. (A full or filtered port looks different.)
    package var isRefused: Bool {
        guard code == .connectFailed else { return false }
        return (cause as? IOError)?.errnoCode == ECONNREFUSED
            || (cause as? NIOConnectionError)?.connectionErrors.contains {
                ($0.error as? IOError)?.errnoCode == ECONNREFUSED
            } == true
    }
}
