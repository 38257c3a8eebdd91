import HTTPServing
import NIOCore
import NIOHTTP1
import Testing

/// What an answer says about the connection while its request's body has not been read to the end.
struct UnreadBodyTests {
    private static let limits = HTTPLimits(maxDrainBytes: 1000)

    private static func request(_ target: String, _ framing: String, _ body: String = "") -> String {
        "POST \(target) HTTP/1.1\r\nHost: h\r\n\(framing)\r\n\r\n\(body)"
    }

    /// - Returns: the head that answers the request; the peer has then read to the end of the connection.
    private static func lastHead(
        for request: String, _ handle: @escaping @Sendable (HTTPExchange) async throws -> Void
    ) async throws -> String {
        try await withServer(limits: limits, handle) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send(request)
            return try await peer.readToEnd()
        }
    }

    @Test(arguments: [
        request("/", "Content-Length: 1001"), request("/", "Content-Length: 10000000", "some of it"),
        // Nobody knows how much is to come.
        request("/", "Transfer-Encoding: chunked", "3\r\nabc\r\n"),
        request("/", "Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n"),
        // It may come or not.
        request("/", "Content-Length: 3\r\nExpect: 100-continue"),
    ])
    func aRefusalThatCostsTheConnectionSaysSo(request: String) async throws {
        let head = try await Self.lastHead(for: request) { try await $0.respond(status: .payloadTooLarge) }
        #expect(head == "HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        let streamed = try await Self.lastHead(for: request) { exchange in
            try await exchange.startResponse(status: .conflict, headers: ["Content-Length": "0"]).finish()
        }
        #expect(streamed == "HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    }

    @Test func soDoesAnAnswerThatComesInTheMiddleOfTheBody() async throws {
        let request = Self.request("/", "Content-Length: 5000", "12345")
        let head = try await Self.lastHead(for: request) { exchange in
            var parts = exchange.body.makeAsyncIterator()
            _ = try await parts.next()
            try await exchange.respond(status: .payloadTooLarge)
        }
        #expect(head.hasPrefix("HTTP/1.1 413 ") && head.contains("\r\nConnection: close\r\n"))
        // What is left counts, not what was announced.
        try await withServer(
            limits: Self.limits,
            { exchange in
                var parts = exchange.body.makeAsyncIterator()
                var count = 0
                while count < 4500, let part = try await parts.next() { count += part.readableBytes }
                try await exchange.respond(status: .ok)
            }
        ) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            for _ in 0..<2 {
                try await peer.send(Self.request("/", "Content-Length: 5000", String(repeating: "x", count: 4500)))
                #expect(try await peer.read(through: "\r\n\r\n") == "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                try await peer.send(String(repeating: "x", count: 500))
            }
            try await peer.close()
        }
    }

    @Test func whatIsReadToItsEndOrReadAwayKeepsTheConnection() async throws {
        try await withServer(
            limits: Self.limits,
            { exchange in
                if exchange.head.uri == "/read" { _ = try await exchange.collectBody(upTo: 1 << 20) }
                try await exchange.respond(status: .ok)
            }
        ) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            let large = String(repeating: "x", count: 5000)
            for request in [
                Self.request("/unread", "Content-Length: 3", "abc"), Self.request("/unread", "Content-Length: 0"),
                Self.request("/read", "Content-Length: 5000", large),
                Self.request("/read", "Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n"),
                "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
            ] {
                try await peer.send(request)
                #expect(try await peer.read(through: "\r\n\r\n") == "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            }
            try await peer.close()
        }
    }
}
