import ComputeCore
import HTTPServing
import NIOCore
import NIOHTTP1
import SidekickProtocol

/// The internal listener: the claim, and what the API may ask. Nothing of it is on the public one.
struct InternalHandler: HTTPHandler {
    let claims: ClaimService
    let warmUp: WarmUp
    let setup: SetupService
    let goingOn: GoingOn
    let clock: any WallClock
    let metrics: MetricsText

    func handle(_ exchange: HTTPExchange) async throws {
        try await TraceContext.$current.withValue(TraceContext(of: exchange.head)) { try await answer(exchange) }
    }

    private func answer(_ exchange: HTTPExchange) async throws {
        let id = RequestID(of: exchange.head)
        do {
            switch (exchange.head.method, RawTarget(exchange.head.uri).path) {
            case (.POST, "/internal/claim"): try await claim(exchange, id)
            case (.GET, "/internal/state"):
                try await exchange.respond(
                    status: .ok, headers: AnswerWriter.headers(id, "application/json"),
                    body: try AnswerWriter.encode(claims.protocolState))
            case (.POST, "/internal/warm-up"):
                try await warmUp.run()
                try await exchange.respond(
                    status: .ok, headers: AnswerWriter.headers(id, "application/json"),
                    body: try AnswerWriter.encode(claims.protocolState))
            case (.GET, "/metrics"):
                try await exchange.respond(
                    status: .ok, headers: AnswerWriter.headers(id, MetricsText.contentType),
                    body: ByteBuffer(string: metrics.text()))
            case (_, "/metrics"): try await refuse(exchange, id, allowed: "GET")
            case (_, "/internal/warm-up"): try await refuse(exchange, id, allowed: "POST")
            case (_, "/internal/claim"): try await refuse(exchange, id, allowed: "POST")
            case (_, "/internal/state"): try await refuse(exchange, id, allowed: "GET")
            default: throw Problem.notFound("there is nothing at this path")
            }
        } catch {
            guard try await AnswerWriter.write(failure: error, to: exchange, id) != nil else { throw error }
        }
    }

    private func claim(_ exchange: HTTPExchange, _ id: RequestID) async throws {
        let body: ByteBuffer
        do {
            body = try await exchange.collectBody(upTo: RequestBody.maxBytes)
        } catch let error as HTTPServingError where error.code == .bodyTooLarge {
            throw Problem(status: 413, code: .tooLarge, message: "the claim is too large")
        }
        let credentials = exchange.head.headers[ClaimCredential.header]
        try claims.claim(
            credential: credentials.count == 1 ? credentials[0] : nil, body: Array(body.readableBytesView),
            now: clock.now())
        // Not waited for: how it goes is told by `/ready`.
        if let claimed = claims.current {
            if claimed.goesOn { await goingOn.start(in: claimed.compute) }
            setup.start(claimed.setup, in: claimed.compute)
        }
        try await exchange.respond(
            status: .ok, headers: AnswerWriter.headers(id, "application/json"),
            body: try AnswerWriter.encode(claims.protocolState))
    }

    private func refuse(_ exchange: HTTPExchange, _ id: RequestID, allowed: String) async throws {
        try await AnswerWriter.write(
            Problem(status: 405, code: .methodNotAllowed, message: "this path allows \(allowed)"), to: exchange, id,
            extra: ["Allow": allowed])
    }
}
