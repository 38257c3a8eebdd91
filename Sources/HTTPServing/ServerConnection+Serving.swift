import NIOCore
import NIOHTTP1

extension ServerConnection {
    /// Serves the connection until it is closed. Requests are handled one after the other.
    func serve(_ handler: any HTTPHandler) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.serveRequests(handler) }
            group.addTask { await self.waitUntilStopped() }
            await group.next()
            // Either the requests are done or the client is gone (then this cancels the handler).
            group.cancelAll()
            // A handler that was cancelled may want to say goodbye, but not for long.
            let timer = line.channel.eventLoop.scheduleTask(in: TimeAmount(limits.goodbyeTimeout)) { [line] in
                line.channel.close(promise: nil)
            }
            await group.waitForAll()
            timer.cancel()
        }
        await line.close()
    }

    private func serveRequests(_ handler: any HTTPHandler) async {
        do {
            while let head = try await nextHead() {
                guard beginRequest() else { return }
                guard await answer(head, with: handler) else { return }
                endRequest()
            }
        } catch {
            await refuse(status(for: error))
        }
    }

    private func nextHead() async throws -> HTTPRequestHead? {
        let inbound = line.inbound
        var timer: Scheduled<Void>?
        if inbound.isEmpty {
            timer = line.channel.eventLoop.scheduleTask(in: TimeAmount(limits.idleTimeout)) {
                inbound.finish(throwing: HTTPServingError(.idleTimeout, "no request for too long"))
            }
        }
        defer { timer?.cancel() }
        switch try await inbound.next() {
        case .request(let head)?: return head
        case nil: return nil
        case .response?, .bytes?, .end?, .frame?:
            throw HTTPServingError(.invalidState, "the connection is between requests")
        }
    }

    /// True when the connection may take another request.
    private func answer(_ head: HTTPRequestHead, with handler: any HTTPHandler) async -> Bool {
        if MessageRules.refusal(of: head) != nil {
            await refuse(.badRequest)
            return false
        }
        let exchange = HTTPExchange(head: head, connection: self)
        var failed = false
        do {
            try await handler.handle(exchange)
        } catch {
            failed = true
        }
        if !exchange.responseStarted, !Task.isCancelled {
            let status = line.inbound.failure.flatMap(status) ?? .internalServerError
            if line.inbound.failure != nil { await refuse(status); return false }
            try? await exchange.respond(status: status)
        }
        let response = exchange.response
        guard !failed || response.isFinished, response.isFinished, !Task.isCancelled else { return false }
        let reader = exchange.body.reader
        if response.keepsAlive, await reader.drain(upTo: limits.maxDrainBytes) { return true }
        if !reader.ended { await line.linger(for: TimeAmount(limits.lingerTimeout)) }
        return false
    }

    /// What a request that never reached a handler is told; nil closes without a word.
    private func status(for error: any Error) -> HTTPResponseStatus? {
        switch error {
        case HTTPParserError.headerOverflow: .requestHeaderFieldsTooLarge
        case HTTPParserError.invalidEOFState: nil
        case is HTTPParserError: .badRequest
        case let error as HTTPServingError where error.code == .headTimeout: .requestTimeout
        default: nil
        }
    }

    private func refuse(_ status: HTTPResponseStatus?) async {
        guard let status else { return }
        let head = MessageBytes.head(status: status, headers: ["Content-Length": "0", "Connection": "close"])
        try? await line.write(head)
        await line.linger(for: TimeAmount(limits.lingerTimeout))
    }
}
