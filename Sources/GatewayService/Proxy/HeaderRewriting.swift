package import ComputeCore
package import NIOHTTP1

/// What the Gateway says about the client, in place of anything the client said about itself.
package struct ClientFacts: Sendable {
    /// nil when the connection came through a unix socket.
    package var remoteAddress: String?
    /// As the client wrote it, once accepted.
    package var host: String?
    /// The scheme that clients use to reach us, also when something before us ends TLS.
    package var scheme: String
    package var requestID: RequestID
    package var trace: TraceContext
    /// What came with a trace that somebody before us began.
    package var traceState: [String] = []
    /// The lower-cased `Upgrade` token of an upgrade request.
    package var upgrade: String?

    package init(
        remoteAddress: String?, host: String?, scheme: String, requestID: RequestID, trace: TraceContext,
        upgrade: String?
    ) {
        self.remoteAddress = remoteAddress
        self.host = host
        self.scheme = scheme
        self.requestID = requestID
        self.trace = trace
        self.upgrade = upgrade
    }
}

/// Rewrites headers between the two sides. Pure.
package enum HeaderRewriting {
    /// Headers about one connection, never about the message (RFC 9110 §7.6.1). `Trailer` stays: it describes
    /// trailers, which pass.
    private static let hopByHop: Set<String> = [
        "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te",
        "transfer-encoding", "upgrade", "http2-settings",
    ]
    /// A client that names these in `Connection` wants us to lose what frames or addresses the message.
    private static let notDroppable: Set<String> = ["content-length", "host", "content-type", "content-encoding"]
    /// Ours to set. CGI-style upstreams read `_` as `-`, so both spellings are ours.
    private static let ours: Set<String> = [
        "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port",
        "x-forwarded-server", "x-forwarded-prefix", "x-real-ip", "x-compute-child", "x-compute-id", "x-request-id",
        TraceContext.header, TraceContext.stateHeader,
    ]

    private static let credentials: Set<String> = [
        "authorization", "cookie", "set-cookie", "x-computesdk-token", "x-computesdk-api-key",
    ]

    /// The request's headers for the upstream. Credentials are the caller's matter.
    package static func request(_ headers: HTTPHeaders, facts: ClientFacts) -> HTTPHeaders {
        var result = endToEnd(headers)
        for (name, _) in headers where ours.contains(name.lowercased().replacing("_", with: "-")) {
            result.remove(name: name)
        }
        // The server below answers the expectation when the body is first read, which is after the access check.
        result.remove(name: "expect")
        if let host = facts.host { result.replaceOrAdd(name: "Host", value: host) }
        if headers["transfer-encoding"].contains(where: { $0.lowercased().contains("chunked") }) {
            result.remove(name: "content-length")
            result.add(name: "Transfer-Encoding", value: "chunked")
        }
        if let upgrade = facts.upgrade {
            result.add(name: "Connection", value: "Upgrade")
            result.add(name: "Upgrade", value: headers.first(name: "upgrade") ?? upgrade)
        }
        var forwarded = "proto=\(facts.scheme)"
        if let address = facts.remoteAddress {
            result.add(name: "X-Forwarded-For", value: address)
            forwarded = "for=\(address.contains(":") ? "\"[\(address)]\"" : address);" + forwarded
        }
        if let host = facts.host {
            result.add(name: "X-Forwarded-Host", value: host)
            forwarded = "host=\"\(host)\";" + forwarded
        }
        result.add(name: "X-Forwarded-Proto", value: facts.scheme)
        result.add(name: "Forwarded", value: forwarded)
        result.add(name: "X-Request-Id", value: facts.requestID.rawValue)
        result.add(name: TraceContext.header, value: facts.trace.text)
        for state in facts.traceState { result.add(name: TraceContext.stateHeader, value: state) }
        return result
    }

    /// The answer's headers for the client.
    package static func response(_ headers: HTTPHeaders) -> HTTPHeaders { endToEnd(headers) }

    /// Trailers of either side. Some servers merge them into the headers, where they would say again, unchecked, what
    /// was decided from the head (RFC 9110 §6.5.1).
    package static func trailers(_ trailers: HTTPHeaders?) -> HTTPHeaders? {
        guard let trailers else { return nil }
        let kept = trailers.filter { name, _ in
            let name = name.lowercased().replacing("_", with: "-")
            return !hopByHop.contains(name) && !notDroppable.contains(name) && !ours.contains(name)
                && !credentials.contains(name)
        }
        return kept.isEmpty ? nil : HTTPHeaders(kept)
    }

    private static func endToEnd(_ headers: HTTPHeaders) -> HTTPHeaders {
        var result = headers
        for named in headers[canonicalForm: "connection"] {
            let name = named.lowercased()
            if !notDroppable.contains(name) { result.remove(name: name) }
        }
        for name in hopByHop { result.remove(name: name) }
        return result
    }

    /// The trace that a request belongs to, and what else came with it.
    /// - Parameter isTrusted: whether who comes here may say so. Else whoever asks could put his requests into traces of
    ///   others, and have everything recorded.
    package static func trace(
        of headers: HTTPHeaders, isTrusted: Bool
    ) -> (context: TraceContext, state: [String]) {
        let given = headers[TraceContext.header]
        guard isTrusted, given.count == 1, let context = TraceContext(given[0]) else { return (.random(), []) }
        return (context.child, headers[TraceContext.stateHeader])
    }

    /// Keeps a client's id when it cannot break a log line or a header; makes one otherwise.
    package static func requestID(of headers: HTTPHeaders) -> RequestID {
        let given = headers["x-request-id"]
        guard given.count == 1, let id = given.first, (1...128).contains(id.utf8.count),
            id.utf8.allSatisfy({
                $0.isASCIIDigit || $0.isASCIILetter || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_")
                    || $0 == UInt8(ascii: ".")
            })
        else { return .random() }
        return RequestID(id)
    }
}
