import Auth
import ComputeCore
import HTTPServing
import NIOCore
import NIOHTTP1

/// One request and what follows from where it goes: its headers for the upstream, and how answers to it look.
struct GatewayRequest: Sendable {
    let exchange: HTTPExchange
    let resolution: Resolution
    let requestID: RequestID
    let trace: TraceContext
    let traceState: [String]
    let scheme: String

    init(_ exchange: HTTPExchange, _ resolver: RouteResolution, _ settings: GatewaySettings) {
        let head = exchange.head
        self.exchange = exchange
        resolution = resolver.resolve(
            method: head.method, version: head.version, target: head.uri, hosts: head.headers["host"])
        requestID = HeaderRewriting.requestID(of: head.headers)
        (trace, traceState) = HeaderRewriting.trace(of: head.headers, isTrusted: settings.trustsTraces)
        scheme = settings.publicScheme.rawValue
    }

    /// The lower-cased protocol that the client wants to speak. HTTP/2 without TLS is not offered: inside a
    /// tunnel it would carry requests that no check has seen.
    var upgrade: String? { exchange.upgrade.flatMap { $0 == "h2c" ? nil : $0 } }

    // MARK: - To the upstream

    func head(target: String, headers: HTTPHeaders) -> HTTPRequestHead {
        HTTPRequestHead(version: .http1_1, method: exchange.head.method, uri: target, headers: headers)
    }

    func forwardedHeaders() -> HTTPHeaders {
        var facts = ClientFacts(
            remoteAddress: exchange.remoteAddress,
            host: exchange.head.headers.first(name: "host") ?? resolution.authority?.description,
            scheme: scheme, requestID: requestID, trace: trace, upgrade: upgrade)
        facts.traceState = traceState
        return HeaderRewriting.request(exchange.head.headers, facts: facts)
    }

    func headersForUserCode(child: String?) -> HTTPHeaders {
        var headers = forwardedHeaders()
        UserCodeBoundary.clean(request: &headers, form: resolution.form)
        if let child { headers.add(name: "X-Compute-Child", value: child) }
        return headers
    }

    // MARK: - To the client

    /// Whether any page may call what is answered here.
    private var isOpenToPages: Bool {
        switch resolution.destination {
        case .sidekick, .api(computeHost: .some): true
        case .port, .api(computeHost: nil), .refused: false
        }
    }

    var isPreflight: Bool {
        isOpenToPages && CORS.isPreflight(method: exchange.head.method, headers: exchange.head.headers)
    }

    var polish: @Sendable (inout HTTPHeaders) -> Void {
        let (resolution, requestID, isOpenToPages) = (resolution, requestID, isOpenToPages)
        return { headers in
            switch resolution.destination {
            case .sidekick, .port: UserCodeBoundary.clean(response: &headers, form: resolution.form)
            case .api, .refused: break
            }
            if isOpenToPages { CORS.apply(to: &headers) }
            headers.replaceOrAdd(name: "X-Request-Id", value: requestID.rawValue)
        }
    }

    func answerPreflight() async throws {
        var headers = CORS.preflightAnswer
        headers.add(name: "X-Request-Id", value: requestID.rawValue)
        try await exchange.respond(status: .noContent, headers: headers)
    }

    /// For good, and with the same method and body.
    func redirect(to path: String) async throws {
        try await exchange.respond(
            status: .permanentRedirect,
            headers: ["Location": path, "Content-Length": "0", "X-Request-Id": requestID.rawValue])
    }

    /// To the same place without the token, which the browser keeps as a cookie from here on.
    func keep(_ grant: GatewayHandler.Grant, target: String) async throws {
        let life = grant.token.expiresAt - SystemWallClock().now()
        try await exchange.respond(
            status: .seeOther,
            headers: [
                // Of two slashes a browser would make a host.
                "Location": "/" + target.drop { $0 == "/" }, "Content-Length": "0", "Cache-Control": "no-store",
                "Set-Cookie": SessionCookie.header(token: grant.bearer, lifetime: life, scheme: scheme),
                "X-Request-Id": requestID.rawValue,
            ])
    }

    func answer(_ problem: Problem) async throws {
        let isAPI = if case .api = resolution.destination { true } else { false }
        let answer = ProblemAnswer(
            problem, requestID: requestID, asPage: !isAPI && ProblemAnswer.wantsPage(exchange.head.headers))
        var headers = answer.headers
        headers.add(name: "X-Request-Id", value: requestID.rawValue)
        if isOpenToPages { CORS.apply(to: &headers) }
        try await exchange.respond(status: answer.status, headers: headers, body: ByteBuffer(bytes: answer.body))
    }
}
