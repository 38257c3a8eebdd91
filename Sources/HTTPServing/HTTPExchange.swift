package import ComputeCore
package import NIOCore
package import NIOHTTP1
import Synchronization

/// What a server does with its requests.
package protocol HTTPHandler: Sendable {
    /// Answers the exchange. An error becomes an empty 500 if nothing was sent, else the connection closes. The task
    /// is cancelled when the client goes away.
    func handle(_ exchange: HTTPExchange) async throws
}

/// One request and its response.
package final class HTTPExchange: Sendable {
    /// As received: `uri` is the raw target.
    package let head: HTTPRequestHead
    /// The body. Reading it answers `Expect: 100-continue`.
    package let body: HTTPBody

    let connection: ServerConnection
    /// The client waits for our word before it sends the body, and may not send it without.
    let expectsContinue: Bool
    private let state: Mutex<ResponseState>

    init(head: HTTPRequestHead, connection: ServerConnection) {
        self.head = head
        self.connection = connection
        self.state = Mutex(ResponseState(request: head))
        let line = connection.line
        let expectsContinue = MessageRules.expectsContinue(head)
        self.expectsContinue = expectsContinue
        let reader = BodyReader(inbound: line.inbound)
        self.body = HTTPBody(reader: reader)
        if expectsContinue {
            reader.beforeFirstRead { [weak self] in
                guard let self, !responseStarted else { return }
                try await line.write(MessageBytes.continueHead)
            }
        }
    }

    /// The client's IP address without port; nil on unix sockets.
    package var remoteAddress: String? { connection.remoteAddress }
    /// Where the server was reached.
    package var localEndpoint: Endpoint? { connection.localEndpoint }
    package var responseStarted: Bool { state.withLock { $0.started } }
    /// What was answered; nil before.
    package var responseStatus: HTTPResponseStatus? { state.withLock { $0.status } }
    /// The lower-cased protocol of `Upgrade` if `Connection` names it too, else nil.
    package var upgrade: String? { MessageRules.upgrade(head) }

    /// As `Task.sleep`, by a timer of the connection's event loop: each of Swift's own wakes a thread to set it.
    package func sleep(for duration: Duration) async throws {
        let timer = connection.line.channel.eventLoop.scheduleTask(in: TimeAmount(duration)) {}
        try await withTaskCancellationHandler {
            try await timer.futureResult.get()
        } onCancel: {
            timer.cancel()
        }
    }

    /// The whole body, or `bodyTooLarge`.
    package func collectBody(upTo maxBytes: Int) async throws -> ByteBuffer {
        if let bodyLength, bodyLength > maxBytes {
            throw HTTPServingError(.bodyTooLarge, "the body has more than \(maxBytes) bytes")
        }
        return try await body.collect(upTo: maxBytes)
    }

    /// Sends a whole response. Sets Content-Length; HEAD, 204 and 304 get no body.
    package func respond(
        status: HTTPResponseStatus, headers: HTTPHeaders = [:], body: ByteBuffer? = nil
    ) async throws {
        try await perform { [keeps = keepsConnection(goesOnReading: false)] response in
            if !keeps { response.closeBeforeStart() }
            return try response.respond(status: status, headers: headers, body: body)
        }
    }

    /// Sends the head; the body follows in chunks unless `headers` has Content-Length.
    package func startResponse(
        status: HTTPResponseStatus, headers: HTTPHeaders = [:]
    ) async throws -> HTTPResponseWriter {
        // Whoever streams an answer may well read meanwhile, unless it is a refusal.
        try await perform { [keeps = keepsConnection(goesOnReading: status.code < 400)] response in
            if !keeps { response.closeBeforeStart() }
            return [try response.start(status: status, headers: headers)]
        }
        return HTTPResponseWriter(exchange: self)
    }

    /// The same, with the first part of the body, or all of it, out of a file: it goes out together with the head.
    /// - Parameter headers: have the Content-Length.
    package func startResponse(
        status: HTTPResponseStatus, headers: HTTPHeaders, with first: FileRegion
    ) async throws -> HTTPResponseWriter {
        let (keeps, draining) = (keepsConnection(goesOnReading: status.code < 400), connection.isDraining)
        let (head, hasBody) = try state.withLock { state in
            if draining { state.closeAfterwards() }
            if !keeps { state.closeBeforeStart() }
            return (try state.start(status: status, headers: headers), try state.writeFile(first.readableBytes))
        }
        if hasBody, first.readableBytes > 0 {
            try await connection.line.write(first, behind: head)
        } else {
            try await connection.line.write(head)
        }
        return HTTPResponseWriter(exchange: self)
    }

    /// Whether the part of the request's body that nobody has read yet can be read away. The head of the answer has to say when
    /// it costs the connection: a client that is told so does not send its next request into it.
    private func keepsConnection(goesOnReading: Bool) -> Bool {
        let reader = body.reader
        guard MessageRules.hasBody(head), !reader.ended else { return true }
        // Without our 100 the client may or may not send the body: nobody can tell what comes next.
        if expectsContinue, !reader.wasRead { return false }
        guard let bodyLength else { return goesOnReading }
        return bodyLength - reader.bytesRead <= connection.limits.maxDrainBytes
    }

    /// As announced.
    private var bodyLength: Int? { head.headers.first(name: "content-length").flatMap(MessageRules.length) }

    /// One step of the response and its bytes on the wire.
    func perform(_ step: (inout ResponseState) throws -> [ByteBuffer]) async throws {
        let draining = connection.isDraining
        let parts = try state.withLock { state in
            if draining { state.closeAfterwards() }
            return try step(&state)
        }
        try await connection.line.write(parts: parts)
    }

    fileprivate func send(_ region: FileRegion) async throws {
        guard try state.withLock({ try $0.writeFile(region.readableBytes) }) else { return }
        try await connection.line.write(region)
    }

    var response: ResponseState { state.withLock { $0 } }
}

/// The body of a streaming response. Writes suspend until the kernel took the bytes.
package struct HTTPResponseWriter: Sendable {
    let exchange: HTTPExchange

    package func write(_ bytes: ByteBuffer) async throws {
        try await exchange.perform { try $0.write(bytes) }
    }

    /// Some of a file, from the kernel's cache to the socket without a way through us. Only for answers with a
    /// Content-Length.
    /// - Throws: also when the file becomes shorter; the connection is closed then.
    package func write(_ region: FileRegion) async throws {
        try await exchange.send(region)
    }

    package func finish(trailers: HTTPHeaders? = nil) async throws {
        try await exchange.perform { try $0.finish(trailers: trailers) }
    }
}
