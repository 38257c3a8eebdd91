import ComputeCore
import HTTPServing
import NIOCore
import NIOHTTP1
import Synchronization

/// Carries one request to its upstream and the answer back, streaming both ways: each part is read when the
/// other side has taken the one before, so nothing is buffered here.
///
///     client ── body ──▶ pump ──▶ upstream          pump and answer run side by side, because an upstream may
///     client ◀── parts ── answer ◀── upstream       answer before it has read everything
struct Proxy: Sendable {
    let pool: UpstreamPool
    let dialTimeout: Duration
    let headerTimeout: Duration

    /// - Throws: a `Problem` while the client can still be told; anything else closes his connection.
    func forward(_ exchange: HTTPExchange, to upstream: Upstream) async throws {
        guard let session = upstream.session else { return try await carry(exchange, to: upstream) }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await carry(exchange, to: upstream)
                return false
            }
            group.addTask {
                await session.waitUntilOver()
                return !Task.isCancelled
            }
            defer { group.cancelAll() }
            guard try await group.next() == true else { return }
            group.cancelAll()
            while await group.nextResult() != nil {}
            guard exchange.responseStarted else { throw Problem.sessionOver }
            // The answer is left unfinished, so the connection closes and the client sees that it was cut.
            throw HTTPServingError(.connectionClosed, "the session is over")
        }
    }

    private func carry(_ exchange: HTTPExchange, to upstream: Upstream) async throws {
        let lease = try await dial(upstream, mayReuse: upstream.isOurServer || upstream.isRepeatable)
        guard try await attempt(exchange, upstream, lease) == .stale else { return }
        // The server had closed the idle connection: nothing was done, and asking again changes nothing.
        _ = try await attempt(exchange, upstream, try await dial(upstream, mayReuse: false))
    }

    private enum Outcome { case answered, stale }

    private func dial(_ upstream: Upstream, mayReuse: Bool) async throws -> UpstreamPool.Lease {
        do {
            let lease = try await lease(upstream, mayReuse: mayReuse)
            // Asked only now that the pool knows the connection: whatever ends the route later closes it.
            guard upstream.isCurrent() else {
                await pool.discard(lease)
                throw Problem.unavailable("the sandbox has just moved or ended")
            }
            return lease
        } catch let error as HTTPServingError where error.code == .connectTimeout {
            throw Problem(status: 504, code: .gatewayTimeout, message: "connecting to the sandbox took too long")
        } catch is HTTPServingError {
            throw upstream.unreachable
        }
    }

    private func lease(_ upstream: Upstream, mayReuse: Bool) async throws -> UpstreamPool.Lease {
        do {
            return try await pool.lease(
                upstream.owner, at: upstream.endpoint, mayReuse: mayReuse, dialTimeout: dialTimeout)
        } catch let error as HTTPServingError where error.code == .connectFailed && upstream.isOurServer {
            // Nothing was sent, and a server of ours that restarts is back in a moment.
            try await Task.sleep(for: .milliseconds(50))
            return try await pool.lease(
                upstream.owner, at: upstream.endpoint, mayReuse: false, dialTimeout: dialTimeout)
        }
    }

    private func attempt(
        _ exchange: HTTPExchange, _ upstream: Upstream, _ lease: UpstreamPool.Lease
    ) async throws -> Outcome {
        let upload = Upload()
        let ending: Ending?
        do {
            try await lease.connection.sendHead(upstream.head)
            let (reusable, rest) = try await converse(exchange, upstream, lease.connection, upload)
            if reusable { await pool.release(lease) } else { await pool.discard(lease) }
            ending = rest
        } catch {
            await pool.discard(lease)
            if let clientError = upload.clientError { throw clientError }
            guard let error = error as? HTTPServingError, !exchange.responseStarted, !Task.isCancelled else {
                throw error
            }
            if error.code == .connectionClosed, lease.isUsed, upstream.isRepeatable { return .stale }
            throw upstream.broken
        }
        // Whoever has all of his answer may ask again at once: the connection is free by then.
        try await ending?.writer.finish(trailers: ending?.trailers)
        return .answered
    }

    /// What is left to tell the client when the upstream has said everything.
    private struct Ending {
        let writer: HTTPResponseWriter
        let trailers: HTTPHeaders?
    }

    /// - Returns: whether the connection may carry another request, and the end of the answer when it is not sent yet.
    private func converse(
        _ exchange: HTTPExchange, _ upstream: Upstream, _ connection: HTTPClientConnection, _ upload: Upload
    ) async throws -> (reusable: Bool, ending: Ending?) {
        let hasBody = ["content-length", "transfer-encoding"].contains { exchange.head.headers.contains(name: $0) }
        // An upstream that answers to the head alone must not find the request unfinished.
        if !hasBody { await upload.pump(exchange, to: connection) }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            if hasBody { group.addTask { await upload.pump(exchange, to: connection) } }
            defer { group.cancelAll() }
            let head = try await answerHead(connection, upload)
            if head.status == .switchingProtocols {
                guard let protocolName = head.headers.first(name: "upgrade"),
                    upstream.head.headers.contains(name: "upgrade")
                else {
                    throw upstream.broken
                }
                try await group.waitForAll()
                try await tunnel(exchange, upstream, connection, head, protocolName)
                return (false, nil)
            }
            var headers = HeaderRewriting.response(head.headers)
            upstream.polish(&headers)
            // It will not read on, so there is nowhere to put the rest of the body.
            if !upload.isComplete,
                head.headers[canonicalForm: "connection"].contains(where: { $0.lowercased() == "close" })
            {
                headers.replaceOrAdd(name: "Connection", value: "close")
            }
            let writer = try await exchange.startResponse(status: head.status, headers: headers)
            let body = connection.body
            for try await part in body { try await writer.write(part) }
            let ending = Ending(writer: writer, trailers: HeaderRewriting.trailers(body.trailers))
            if upload.isComplete { return (true, ending) }
            try await ending.writer.finish(trailers: ending.trailers)
            return (upload.isComplete, nil)
        }
    }

    /// The answer's head. When nothing moved for too long: 408 if it was the client's turn, 504 if the upstream's.
    private func answerHead(_ connection: HTTPClientConnection, _ upload: Upload) async throws -> HTTPResponseHead {
        try await withThrowingTaskGroup(of: HTTPResponseHead?.self) { group in
            defer { group.cancelAll() }
            group.addTask { try await connection.receiveHead() }
            group.addTask {
                while true {
                    let deadline = upload.lastMove.advanced(by: headerTimeout)
                    guard deadline > .now else { return nil }
                    try await Task.sleep(until: deadline, clock: .continuous)
                }
            }
            guard let head = try await group.next() ?? nil else {
                guard !upload.waitsForClient else {
                    throw Problem(
                        status: 408, code: .requestTimeout, message: "the request's body did not arrive in time")
                }
                throw Problem(
                    status: 504, code: .gatewayTimeout, message: "the sandbox did not answer in time")
            }
            return head
        }
    }

    /// After an upgrade: bytes both ways, without knowledge of the protocol.
    private func tunnel(
        _ exchange: HTTPExchange, _ upstream: Upstream, _ connection: HTTPClientConnection, _ head: HTTPResponseHead,
        _ protocolName: String
    ) async throws {
        var headers = HeaderRewriting.response(head.headers)
        upstream.polish(&headers)
        headers.add(name: "Connection", value: "Upgrade")
        headers.add(name: "Upgrade", value: protocolName)
        let server = try await connection.becomeTunnel()
        let client = try await exchange.upgradeToBytes(headers: headers)
        await GatewayMetrics.countingTunnel {
            await TunnelCopy(
                client: client, server: server, halfClosedLimit: headerTimeout,
                isWebSocket: protocolName.lowercased() == "websocket", session: upstream.session
            ).run()
        }
    }
}
