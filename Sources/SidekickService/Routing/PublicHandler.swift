import ComputeCore
import HTTPServing
import NIOHTTP1

/// The public listener: finds the route, checks the credential, lets the route answer.
///
/// In this order: an unclaimed member answers nothing but `/health`; then the credential; and only a caller who has
/// shown one learns which paths exist.
struct PublicHandler: HTTPHandler {
    let claimed: @Sendable () -> ClaimService.ClaimedContext?
    let children: ChildService
    let routes: SidekickRoutes
    let counters: RequestCounters

    func handle(_ exchange: HTTPExchange) async throws {
        let id = RequestID(of: exchange.head)
        try await TraceContext.$current.withValue(TraceContext(of: exchange.head)) {
            do {
                counters.count(try await answer(exchange, id))
            } catch {
                guard let status = try await AnswerWriter.write(failure: error, to: exchange, id) else { throw error }
                counters.count(status)
            }
        }
    }

    /// - Returns: the status.
    private func answer(_ exchange: HTTPExchange, _ id: RequestID) async throws -> Int {
        let head = exchange.head
        let target = RawTarget(head.uri)
        if target.path == "/health", head.method == .GET || head.method == .HEAD {
            try await AnswerWriter.write(ServiceRoutes.health(), to: exchange, id)
            return 200
        }
        guard let claimed = claimed() else {
            throw Problem.unavailable("this member has not been claimed yet")
        }
        let match = routes.find(head.method, target.path)
        if case .route(let route, _) = match, route.isPublic {
        } else {
            try authenticate(head, claimed)
        }
        switch match {
        case .notFound: throw Problem.notFound("there is nothing at this path")
        case .methodNotAllowed(let allowed):
            let names = Set(allowed.map(\.rawValue)).sorted().joined(separator: ", ")
            try await AnswerWriter.write(
                Problem(status: 405, code: .methodNotAllowed, message: "this path allows \(names)"), to: exchange, id,
                extra: ["Allow": names])
            return 405
        case .route(let route, let parameters):
            // Set by the Gateway alone, and only to what the host or path named.
            let compute = try children.context(head.headers.first(name: ChildService.header), of: claimed.compute)
            let request = SidekickRequest(
                exchange: exchange, method: head.method, path: target.path, query: target.query, requestID: id,
                compute: compute, parameters: parameters)
            let answer = try await route.handle(request)
            try await AnswerWriter.write(answer, to: exchange, id)
            return answer.status
        }
    }

    /// As for a claim that is not there, and counted by nobody.
    func rehearsing(_ claimed: ClaimService.ClaimedContext) -> PublicHandler {
        PublicHandler(claimed: { claimed }, children: children, routes: routes, counters: RequestCounters())
    }

    private func authenticate(_ head: HTTPRequestHead, _ claimed: ClaimService.ClaimedContext) throws(Problem) {
        let values = head.headers["Authorization"]
        guard values.count == 1, let value = values.first, value.utf8.count > 7,
            value.prefix(7).lowercased() == "bearer ", claimed.accepts(bearer: value.dropFirst(7))
        else { throw Problem(status: 401, code: .unauthenticated, message: "a valid access token is needed") }
    }
}
