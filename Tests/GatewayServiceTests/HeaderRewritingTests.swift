import APIContract
import ComputeCore
import GatewayService
import NIOHTTP1
import Testing

@Suite struct HeaderRewritingTests {
    private static let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    private func rewrite(_ headers: HTTPHeaders, upgrade: String? = nil) -> HTTPHeaders {
        HeaderRewriting.request(
            headers,
            facts: ClientFacts(
                remoteAddress: "10.1.2.3", host: "h.localhost", scheme: "https", requestID: RequestID("r1"),
                trace: TraceContext(Self.trace)!, upgrade: upgrade))
    }

    @Test func connectionHeadersEndHere() {
        let headers = rewrite([
            "Connection": "close, X-Private, Content-Length", "X-Private": "1", "Keep-Alive": "1", "TE": "trailers",
            "Proxy-Authorization": "Basic x", "Upgrade": "websocket", "Content-Length": "3", "X-Public": "1",
        ])
        for name in ["connection", "x-private", "keep-alive", "te", "proxy-authorization", "upgrade"] {
            #expect(!headers.contains(name: name))
        }
        #expect(headers["content-length"] == ["3"])
        #expect(headers["x-public"] == ["1"])
    }

    @Test func whatClientsSayAboutThemselvesIsReplaced() {
        let headers = rewrite([
            "X-Forwarded-For": "6.6.6.6", "X_Forwarded_For": "6.6.6.6", "Forwarded": "for=6.6.6.6",
            "X-Real-IP": "6.6.6.6", "X-Forwarded-Proto": "gopher", "X-Compute-Child": "evil", "Host": "h.localhost",
            "X-Request-Id": "bad id",
        ])
        #expect(headers["x-forwarded-for"] == ["10.1.2.3"])
        #expect(headers["x-forwarded-proto"] == ["https"])
        #expect(headers["x-forwarded-host"] == ["h.localhost"])
        #expect(headers["forwarded"] == ["host=\"h.localhost\";for=10.1.2.3;proto=https"])
        #expect(headers["x-request-id"] == ["r1"])
        #expect(headers["host"] == ["h.localhost"])
        for name in ["x_forwarded_for", "x-real-ip", "x-compute-child"] { #expect(!headers.contains(name: name)) }
        #expect(!headers.contains { $0.value.contains("6.6.6.6") })
    }

    @Test func aTraceIsOursUnlessSomebodyBeforeUsIsTrusted() throws {
        let theirs = "00-11111111111111111111111111111111-2222222222222222-01"
        let sent: HTTPHeaders = ["traceparent": theirs, "Trace_State": "x=1", "tracestate": "a=1,b=2"]
        let headers = rewrite(sent)
        #expect(headers["traceparent"] == [Self.trace])
        #expect(headers["tracestate"] == [] && headers["trace_state"] == ["x=1"])

        let begun = HeaderRewriting.trace(of: sent, isTrusted: false)
        #expect(begun.context.traceID != String(repeating: "1", count: 32) && begun.state == [])
        let followed = HeaderRewriting.trace(of: sent, isTrusted: true)
        #expect(followed.context.traceID == String(repeating: "1", count: 32) && followed.context.isSampled)
        #expect(followed.context.spanID != String(repeating: "2", count: 16) && followed.state == ["a=1,b=2"])
        // Two of them are none.
        let doubled: HTTPHeaders = ["traceparent": theirs, "Traceparent": theirs, "tracestate": "a=1"]
        let fresh = HeaderRewriting.trace(of: doubled, isTrusted: true)
        #expect(fresh.context.traceID != String(repeating: "1", count: 32) && fresh.state == [])
    }

    @Test func connectionCannotRemoveWhatWeAdd() {
        let headers = rewrite(["Connection": "X-Forwarded-For, X-Request-Id, Host", "Host": "h.localhost"])
        #expect(headers["x-forwarded-for"] == ["10.1.2.3"])
        #expect(headers["x-request-id"] == ["r1"])
        #expect(headers["host"] == ["h.localhost"])
    }

    @Test func upgradeIsAskedForAgain() {
        let headers = rewrite(["Connection": "keep-alive, Upgrade", "Upgrade": "WebSocket"], upgrade: "websocket")
        #expect(headers["connection"] == ["Upgrade"])
        #expect(headers["upgrade"] == ["WebSocket"])
    }

    @Test func chunkedBodiesStayChunked() {
        #expect(rewrite(["Transfer-Encoding": "chunked"])["transfer-encoding"] == ["chunked"])
    }

    @Test(arguments: ["", "a b", "a\nb", "é", String(repeating: "x", count: 129), "a\"b"])
    func unusableRequestIDIsReplaced(_ given: String) {
        #expect(HeaderRewriting.requestID(of: ["X-Request-Id": given]).rawValue != given)
    }

    @Test func trailersSayNothingThatTheHeadDecides() {
        let trailers: HTTPHeaders = [
            "Content-Length": "3", "Transfer-Encoding": "chunked", "Host": "x", "Authorization": "Bearer x",
            "Cookie": "a=1", "X-Compute-Child": "x", "X_Forwarded_For": "1.1.1.1", "Grpc-Status": "0",
        ]
        #expect(HeaderRewriting.trailers(trailers) == ["Grpc-Status": "0"])
        #expect(HeaderRewriting.trailers(["Host": "x"]) == nil)
        #expect(HeaderRewriting.trailers(nil) == nil)
    }

    @Test func usableRequestIDIsKept() {
        #expect(HeaderRewriting.requestID(of: ["X-Request-Id": "ab-1_2.c"]).rawValue == "ab-1_2.c")
        #expect(HeaderRewriting.requestID(of: [:]) != HeaderRewriting.requestID(of: [:]))
    }
}

@Suite struct PortDialTests {
    private func dial(_ host: String?, _ port: Int, sidekick: Endpoint? = .unix(path: "/s"), own: Int = 8080) throws
        -> Endpoint
    {
        try PortDial.endpoint(
            for: RouteRecord(
                computeId: ComputeID("abcdefgh12345678wxyz")!, group: .default, state: .running, generation: .first,
                sidekick: sidekick, portHost: host),
            port: port, own: [.tcp(host: "127.0.0.1", port: own), .tcp(host: "127.0.0.1", port: 9000)])
    }

    @Test func portsOfTheComputeAreDialled() throws {
        #expect(try dial("127.0.0.1", 3000) == .tcp(host: "127.0.0.1", port: 3000))
        #expect(try dial("10.0.0.7", 8080) == .tcp(host: "10.0.0.7", port: 8080))
    }

    @Test(arguments: ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
    func gatewayDialsNeitherItselfNorTheAPIAsAPort(_ host: String) {
        #expect { try dial(host, 8080) } throws: { ($0 as? Problem)?.status == 403 }
        #expect { try dial(host, 9000) } throws: { ($0 as? Problem)?.status == 403 }
    }

    @Test func sidekickIsNotAPort() {
        let sidekick = Endpoint.tcp(host: "10.0.0.7", port: 9999)
        for (port, known) in [(9999, sidekick), (18080, sidekick), (18081, sidekick), (18081, .unix(path: "/s"))] {
            for host in ["10.0.0.7", nil] {
                #expect { try dial(host, port, sidekick: known) } throws: { ($0 as? Problem)?.status == 404 }
            }
        }
    }

    @Test(arguments: ["169.254.169.254", "fe80::1", "0.0.0.0", "::", "::ffff:169.254.169.254"])
    func addressesThatAreNoComputesAreNotDialled(_ host: String) {
        #expect { try dial(host, 80) } throws: { ($0 as? Problem)?.status == 502 }
    }
}
