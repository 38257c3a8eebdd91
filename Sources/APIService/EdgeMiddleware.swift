import ComputeCore
import ComputeDomain
import EventSourcing
import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// The outermost layer: gives each request its id, turns every error into the one body, and writes the one log line.
struct EdgeMiddleware: RouterMiddleware {
    typealias Context = APIRequestContext
    let logger: Logger
    let bodyDeadline: Duration

    func handle(
        _ request: Request, context: APIRequestContext, next: (Request, APIRequestContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        // The Gateway's id is kept, so that one request has one id in both logs.
        if let given = request.headers[.requestID], given.isPlainRequestID {
            context.requestID = ComputeCore.RequestID(given)
        }
        context.logger[metadataKey: "request.id"] = "\(context.requestID)"
        // As the Gateway says it; whoever comes without one begins a trace.
        let trace = request.headers[.traceparent].flatMap { TraceContext($0) }?.child ?? .random()
        return try await TraceContext.$current.withValue(trace) {
            try await BodyDeadline.$current.withValue(bodyDeadline) { try await answer(request, context, next) }
        }
    }

    private func answer(
        _ request: Request, _ context: APIRequestContext,
        _ next: (Request, APIRequestContext) async throws -> Response
    ) async throws -> Response {
        let start = ContinuousClock.now
        var response: Response
        let timing = ServerTiming()
        do {
            response = try await ServerTiming.$current.withValue(timing) { try await next(request, context) }
        } catch {
            response = Answer.problem(problem(error, context), context.requestID)
        }
        if let header = timing.header { response.headers[.serverTiming] = header }
        if let allowance = context.allowance.current { response.headers.say(allowance) }
        response.headers[.requestID] = context.requestID.rawValue
        let duration = ContinuousClock.now - start
        log(request, response, duration, context)
        APIMetrics.answered(
            method: request.method.rawValue, route: context.endpointPath, status: response.status.code, in: duration)
        return response
    }

    private func problem(_ error: any Error, _ context: APIRequestContext) -> Problem {
        switch error {
        case let problem as Problem: return problem
        case let error as EventStoreError:
            context.logger.failure("the event store failed", error)
            return Problem(error)
        case let error as HTTPError:
            if error.status == .notFound { return .notFound("there is no such route") }
            guard (400..<500).contains(error.status.code) else { break }
            return Problem(status: error.status.code, code: .invalidRequest, message: error.status.reasonPhrase)
        case is CancellationError: return .unavailable("the server is shutting down")
        default: break
        }
        context.logger.failure("a request failed", error)
        return .internalError
    }

    private func log(_ request: Request, _ response: Response, _ duration: Duration, _ context: APIRequestContext) {
        // Probes come all the time, during a start every few milliseconds: seen by those who ask for it.
        let isProbe = AuthorizationTable.probes.contains(context.endpointPath ?? "")
        // The route's pattern and not the path: a path may hold anything, and a query may hold a token.
        context.logger.log(
            level: isProbe ? .debug : .info, "request",
            metadata: [
                "http.method": "\(request.method.rawValue.prefix(16))",
                "http.route": "\(context.endpointPath ?? "-")",
                "http.status": "\(response.status.code)",
                "duration_ms": "\(duration.wholeMilliseconds)",
            ])
    }
}

/// Lets pass whose credential is good, and may use the route: the table says who.
struct KeyMiddleware: RouterMiddleware {
    typealias Context = APIRequestContext
    let credentials: Credentials
    let limits: RateLimits

    static let groupHeader = "X-ComputeSDK-Group"
    /// Who takes longer over his body is asked again: a request that is held open keeps no power that was taken away.
    private static let patience: Duration = .milliseconds(100)

    func handle(
        _ request: Request, context: APIRequestContext, next: (Request, APIRequestContext) async throws -> Response
    ) async throws -> Response {
        let named = request.headers[.group].map { GroupID($0) }
        let bearer: Bearer
        do {
            guard let text = try Self.key(in: request.headers) else { throw Problem.unauthenticated }
            // Before the look-up only whoever shows again what is bad.
            if credentials.wasBad(text) { try context.allowance.admit(stranger: request, context, by: limits) }
            bearer = try await credentials.bearer(text, in: Self.choice(named, context))
        } catch let problem as Problem where problem.status < 500 {
            // Else after it: who has a good credential is not refused for what others do from the same address.
            if context.allowance.current == nil {
                try context.allowance.admit(stranger: request, context, by: limits)
            }
            throw problem
        }
        try context.allowance.admit(.credential(bearer.credential.description), by: limits)
        // A key has one group; who names another one is told what everybody is who names a foreign one.
        if let named, named != bearer.group { throw Problem.noSuchGroup }
        let caller = Caller(
            bearer,
            metadata: EventMetadata(
                actor: bearer.credential.description, requestID: context.requestID.rawValue,
                traceID: TraceContext.current?.traceID,
                source: context.peer ?? Self.forwarded(request.headers)))
        var context = context
        context.caller = caller
        context.logger[metadataKey: "actor"] = "\(caller.metadata.actor)"
        let (method, path) = (request.method.rawValue, context.endpointPath ?? "")
        try AuthorizationTable.check(caller, method, path)
        context.isStillAllowed = { [credentials] in try await credentials.mayStay(caller, on: method, path) }
        var request = request
        let start = ContinuousClock.now
        request.body = RequestBody(buffer: try await request.wholeBody())
        if ContinuousClock.now - start > Self.patience {
            guard try await credentials.mayStay(caller, on: method, path) else { throw Problem.unauthenticated }
        }
        return try await next(request, context)
    }

    private static func choice(_ named: GroupID?, _ context: APIRequestContext) -> SignIns.Choice {
        if let named { return .group(named) }
        if let group = context.parameter("group") { return .group(GroupID(group)) }
        return context.endpointPath == "/v1/groups" ? .any : .unsaid
    }

    /// - Throws: 400 when a field is there more than once: whoever looks at the request before us may read another one.
    static func key(in headers: HTTPFields) throws(Problem) -> String? {
        for name in [HTTPField.Name.authorization, .apiKey, .plainAPIKey, .group] where headers[values: name].count > 1
        {
            throw .invalid(name.canonicalName, "\(name.rawName) is there more than once")
        }
        if let key = headers[.apiKey] ?? headers[.plainAPIKey] { return key }
        guard let authorization = headers[.authorization] else { return nil }
        let parts = authorization.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        return String(parts[1])
    }

    /// On a unix socket the peer is the Gateway, and the last address is the one that it added itself.
    static func forwarded(_ headers: HTTPFields) -> String? {
        guard let last = headers[.forwardedFor]?.split(separator: ",").last else { return nil }
        let address = last.drop { $0 == " " }
        guard (1...45).contains(address.utf8.count),
            address.utf8.allSatisfy({ $0.isDigit || $0.isASCIIHexLetter || $0 == 0x2E || $0 == 0x3A })
        else { return nil }
        return String(address)
    }
}

extension String {
    /// Safe in a header, a log line and an event.
    fileprivate var isPlainRequestID: Bool {
        (1...64).contains(utf8.count)
            && utf8.allSatisfy { $0.isDigit || ($0 | 0x20).isLowercaseLetter || $0 == 0x2D || $0 == 0x5F || $0 == 0x2E }
    }
}

extension UInt8 {
    fileprivate var isASCIIHexLetter: Bool { (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(self | 0x20) }
}
