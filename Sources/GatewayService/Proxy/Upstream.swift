import ComputeCore
import NIOHTTP1

/// One request, ready to be sent to a server behind us.
struct Upstream: Sendable {
    var owner: UpstreamOwner
    var endpoint: Endpoint
    var head: HTTPRequestHead
    /// What the client is told when nothing answers there.
    var unreachable: Problem
    /// Our own servers keep an idle connection far longer than we do; a user's may close one at any moment, so
    /// only a request that can be repeated goes over a used connection to it.
    var isOurServer: Bool
    /// Whether the endpoint is still this owner's. Addresses are reused.
    var isCurrent: @Sendable () -> Bool = { true }
    /// The session that the request goes on with; nil for other credentials, and for none.
    var session: SessionUse?
    /// Applied to the answer's headers before they go to the client.
    var polish: @Sendable (inout HTTPHeaders) -> Void

    /// No body, and no further effect when it arrives twice. PUT and DELETE are idempotent by definition, but a
    /// second DELETE answers 404 where the first one worked.
    var isRepeatable: Bool {
        guard head.headers["transfer-encoding"].isEmpty, (head.headers.first(name: "content-length") ?? "0") == "0",
            head.headers["upgrade"].isEmpty
        else { return false }
        return head.method == .GET || head.method == .HEAD || head.method == .OPTIONS
    }

    /// What the client is told when the server there ends the connection instead of answering.
    var broken: Problem {
        Problem(status: 502, code: .badGateway, message: "the server closed the connection before it answered")
    }
}
