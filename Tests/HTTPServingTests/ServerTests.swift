import ComputeCore
import Glibc
import HTTPServing
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import Testing

@Suite struct ServerTests {
    static let echo: @Sendable (HTTPExchange) async throws -> Void = { exchange in
        let body = try await exchange.collectBody(upTo: 1 << 20)
        try await exchange.respond(
            status: .ok, headers: ["X-Target": exchange.head.uri],
            body: ByteBuffer(string: "\(exchange.head.method.rawValue) \(String(buffer: body))"))
    }

    @Test func answersWithTheRawTarget() async throws {
        try await withServer(Self.echo) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send("POST /a%2Fb/../c//d?x=%41&%c3 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi")
            #expect(
                try await peer.read(through: "POST hi")
                    == "HTTP/1.1 200 OK\r\nX-Target: /a%2Fb/../c//d?x=%41&%c3\r\nContent-Length: 7\r\n\r\nPOST hi")
            try await peer.close()
        }
    }

    @Test func aRequestIsAnsweredOnItsConnectionsEventLoop() async throws {
        let answer: @Sendable (HTTPExchange) async throws -> Void = { exchange in
            let before = MultiThreadedEventLoopGroup.currentEventLoop
            try await exchange.sleep(for: .milliseconds(1))
            let after = MultiThreadedEventLoopGroup.currentEventLoop
            try await exchange.respond(
                status: .ok, body: ByteBuffer(string: before != nil && before === after ? "there" : "elsewhere"))
        }
        try await withServer(answer) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            #expect(try await peer.readToEnd().hasSuffix("\r\n\r\nthere"))
        }
    }

    @Test func pipelinedRequestsAreAnsweredInOrder() async throws {
        try await withServer(Self.echo) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            let count = 50
            var all = ""
            for index in 0..<count {
                let body = String(repeating: "x", count: index)
                all += "POST /\(index) HTTP/1.1\r\nHost: h\r\nContent-Length: \(index)\r\n\r\n\(body)"
            }
            try await peer.send(all + "GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            let answers = try await peer.readToEnd()
            var expected = ""
            for index in 0..<count {
                let body = String(repeating: "x", count: index)
                expected += "HTTP/1.1 200 OK\r\nX-Target: /\(index)\r\nContent-Length: \(5 + index)\r\n\r\nPOST \(body)"
            }
            expected += "HTTP/1.1 200 OK\r\nX-Target: /last\r\nContent-Length: 4\r\nConnection: close\r\n\r\nGET "
            #expect(answers == expected)
        }
    }

    @Test func requestSplitAtEveryByteIsTheSameRequest() async throws {
        let request =
            "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        try await withServer(Self.echo) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            for cut in 1..<request.utf8.count {
                let bytes = ByteBuffer(string: request)
                try await peer.send(bytes.getSlice(at: 0, length: cut)!)
                try await peer.send(bytes.getSlice(at: cut, length: bytes.readableBytes - cut)!)
                #expect(try await peer.read(through: "POST abcde").hasPrefix("HTTP/1.1 200 OK\r\n"))
            }
            try await peer.close()
        }
    }

    @Test func streamsBothWaysAtTheSameTime() async throws {
        try await withServer({ exchange in
            let writer = try await exchange.startResponse(status: .ok)
            for try await part in exchange.body { try await writer.write(part) }
            try await writer.finish(trailers: [
                "X-Sum": "done", "X-Got": exchange.body.trailers?.first(name: "x-t") ?? "-",
            ])
        }) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            let head = try await peer.read(through: "abc\r\n")
            #expect(head == "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            try await peer.send("2\r\nde\r\n")
            #expect(try await peer.read(through: "de\r\n") == "2\r\nde\r\n")
            try await peer.send("0\r\nX-T: 7\r\n\r\n")
            #expect(try await peer.read(through: "\r\n\r\n") == "0\r\nX-Sum: done\r\nX-Got: 7\r\n\r\n")
            try await peer.close()
        }
    }

    @Test func bodylessAnswersHaveNoBody() async throws {
        try await withServer({ exchange in
            let status = HTTPResponseStatus(statusCode: Int(exchange.head.uri.dropFirst())!)
            try await exchange.respond(status: status, body: ByteBuffer(string: "body"))
        }) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send("HEAD /200 HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try await peer.read(through: "\r\n\r\n") == "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
            try await peer.send("GET /204 HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try await peer.read(through: "\r\n\r\n") == "HTTP/1.1 204 No Content\r\n\r\n")
            try await peer.send("GET /304 HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try await peer.read(through: "\r\n\r\n") == "HTTP/1.1 304 Not Modified\r\n\r\n")
            try await peer.send("GET /200 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            #expect(try await peer.readToEnd().hasSuffix("\r\n\r\nbody"))
        }
    }

    @Test func oldClientsGetNoChunksAndAClose() async throws {
        try await withServer({ exchange in
            let writer = try await exchange.startResponse(status: .ok)
            try await writer.write(ByteBuffer(string: "plain"))
            try await writer.finish()
        }) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            #expect(try await peer.readToEnd() == "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nplain")
        }
    }

    @Test func oldClientsMayKeepTheConnection() async throws {
        try await withServer(Self.echo) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            for _ in 0..<2 {
                try await peer.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                #expect(try await peer.read(through: "GET ").contains("Connection: keep-alive\r\n"))
            }
            try await peer.send("GET / HTTP/1.0\r\n\r\n")
            #expect(try await peer.readToEnd().contains("Connection: close\r\n"))
        }
    }

    @Test func continueIsSentWhenTheBodyIsRead() async throws {
        try await withServer({ exchange in
            if exchange.head.uri == "/refuse" { return try await exchange.respond(status: .payloadTooLarge) }
            try await Self.echo(exchange)
        }) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
            #expect(try await peer.read(through: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
            try await peer.send("abc")
            #expect(try await peer.read(through: "PUT abc").hasPrefix("HTTP/1.1 200 OK\r\n"))
            try await peer.send("PUT /refuse HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
            #expect(try await peer.readToEnd().hasPrefix("HTTP/1.1 413 "))
        }
    }

    @Test func handlerErrorsBecome500AndSilenceToo() async throws {
        struct Broken: Error {}
        try await withServer({ exchange in
            if exchange.head.uri == "/throw" { throw Broken() }
        }) { endpoint, _ in
            for target in ["/throw", "/silent"] {
                let peer = try await RawPeer.connect(endpoint)
                try await peer.send("GET \(target) HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
                #expect(try await peer.readToEnd().hasPrefix("HTTP/1.1 500 "))
            }
        }
    }

    @Test func brokenStreamsEndWithoutTheLastChunk() async throws {
        struct Broken: Error {}
        try await withServer({ exchange in
            let writer = try await exchange.startResponse(status: .ok)
            try await writer.write(ByteBuffer(string: "ab"))
            throw Broken()
        }) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try await peer.readToEnd().hasSuffix("2\r\nab\r\n"))
        }
    }

    @Test func unreadBodyIsDrainedUpToABound() async throws {
        try await withServer(
            limits: HTTPLimits(maxDrainBytes: 1000),
            { exchange in
                try await exchange.respond(status: .ok)
            }
        ) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            let small = String(repeating: "s", count: 900)
            try await peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 900\r\n\r\n\(small)")
            #expect(try await peer.read(through: "\r\n\r\n").hasPrefix("HTTP/1.1 200 "))
            let large = String(repeating: "l", count: 100_000)
            try await peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n\(large)")
            #expect(try await peer.readToEnd().hasPrefix("HTTP/1.1 200 "))
            try await peer.close()
        }
    }

    @Test(arguments: [false, true])
    func disconnectCancelsTheHandlerThatReadsNothing(withUnreadBytes: Bool) async throws {
        let started = Expectation<Bool>()
        let cancelled = Expectation<Bool>()
        try await withServer({ _ in
            started.fulfil(true)
            try? await Task.sleep(for: .seconds(60))
            cancelled.fulfil(Task.isCancelled)
        }) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\n")
            // More than the server buffers, less than what the kernel takes.
            if withUnreadBytes { try await peer.send(String(repeating: "x", count: 150_000)) }
            #expect(try await started.value())
            try await peer.close()
            #expect(try await cancelled.value())
        }
    }

    @Test func slowReadersHoldTheWriterBack() async throws {
        let total = 256
        let counter = Counter()
        try await withServer({ exchange in
            let writer = try await exchange.startResponse(status: .ok)
            let part = ByteBuffer(repeating: 7, count: 1 << 18)
            for _ in 0..<total {
                try await writer.write(part)
                counter.add()
            }
            try await writer.finish()
        }) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            _ = try await peer.read(through: "\r\n\r\n")
            // 64 MiB do not fit into kernel buffers: the writer cannot be done while we do not read.
            #expect(counter.value < total)
            #expect(try await peer.readToEnd().utf8.count > total << 18)
            #expect(counter.value == total)
        }
    }

    @Test func responseHeadersWithLineBreaksAreRefused() async throws {
        let outcome = Expectation<String>()
        try await withServer({ exchange in
            do {
                try await exchange.respond(status: .ok, headers: ["X-A": "a\r\nSet-Cookie: b"])
            } catch let error as HTTPServingError { outcome.fulfil(error.code.description) }
        }) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            #expect(try await outcome.value() == "invalidMessage")
            #expect(try await peer.readToEnd().hasPrefix("HTTP/1.1 500 "))
        }
    }
}

final class Counter: Sendable {
    private let count = Mutex(0)
    func add() { count.withLock { $0 += 1 } }
    var value: Int { count.withLock { $0 } }
}
