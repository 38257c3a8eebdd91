import ComputeCore
import Glibc
import HTTPServing
import NIOCore
import NIOHTTP1
import NIOPosix
import Testing

@Suite struct ClientTests {
    private static func head(_ method: HTTPMethod, _ uri: String, _ headers: HTTPHeaders = [:]) -> HTTPRequestHead {
        HTTPRequestHead(
            version: .http1_1, method: method, uri: uri, headers: HTTPHeaders([("Host", "h")]).appending(headers))
    }

    @Test func reusesAConnectionForWholeExchanges() async throws {
        try await withServer(ServerTests.echo) { endpoint, _ in
            let client = try await HTTPClientConnection.connect(to: endpoint, timeout: .seconds(10))
            for index in 0..<3 {
                #expect(client.isReusable)
                try await client.sendHead(Self.head(.POST, "/\(index)%2f", ["Content-Length": "2"]))
                #expect(!client.isReusable)
                try await client.sendBody(ByteBuffer(string: "hi"))
                try await client.finish()
                let answer = try await client.receiveHead()
                #expect(answer.headers["x-target"] == ["/\(index)%2f"])
                let body = try await client.body.collect(upTo: 100)
                #expect(String(buffer: body) == "POST hi")
            }
            try await client.sendHead(Self.head(.HEAD, "/"))
            try await client.finish()
            #expect(try await client.receiveHead().headers["content-length"] == ["5"])
            #expect(try await client.body.collect(upTo: 100).readableBytes == 0)
            #expect(client.isReusable)
            await client.close()
            #expect(!client.isReusable)
        }
    }

    @Test func answersMayComeBeforeTheRequestEnds() async throws {
        try await withServer({ exchange in
            let writer = try await exchange.startResponse(status: .ok)
            for try await part in exchange.body { try await writer.write(part) }
            try await writer.finish()
        }) { endpoint, _ in
            let client = try await HTTPClientConnection.connect(to: endpoint, timeout: .seconds(10))
            try await client.sendHead(Self.head(.POST, "/", ["Transfer-Encoding": "chunked"]))
            #expect(try await client.receiveHead().status == .ok)
            var body = client.body.makeAsyncIterator()
            for word in ["one", "two"] {
                try await client.sendBody(ByteBuffer(string: word))
                #expect(try await body.next() == ByteBuffer(string: word))
            }
            #expect(!client.isReusable)
            try await client.finish()
            #expect(try await body.next() == nil)
            #expect(client.isReusable)
            await client.close()
        }
    }

    @Test func refusedIsToldApart() async throws {
        let taken = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(to: SocketAddress(ipAddress: "127.0.0.1", port: 0)).get()
        let port = taken.localAddress!.port!
        try await taken.close()
        let error = await #expect(throws: HTTPServingError.self) {
            _ = try await HTTPClientConnection.connect(to: .tcp(host: "127.0.0.1", port: port), timeout: .seconds(10))
        }
        #expect(error?.isRefused == true)
    }

    /// A server that answers any bytes with the given ones and closes.
    private static func withAnswer(
        _ answer: String, _ perform: @escaping @Sendable (HTTPClientConnection) async throws -> Void
    ) async throws {
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AnswerAndClose(answer))
                }
            }
            .bind(to: SocketAddress(ipAddress: "127.0.0.1", port: 0)).get()
        let client = try await HTTPClientConnection.connect(
            to: .tcp(host: "127.0.0.1", port: listener.localAddress!.port!), timeout: .seconds(10))
        try await client.sendHead(head(.GET, "/", ["Connection": "upgrade", "Upgrade": "raw"]))
        try await client.finish()
        try await deadline(.seconds(20)) { try await perform(client) }
        await client.close()
        try await listener.close()
    }

    @Test func bodyWithoutLengthLastsUntilTheClose() async throws {
        try await Self.withAnswer("HTTP/1.1 200 OK\r\n\r\nuntil the end") { client in
            #expect(try await client.receiveHead().status == .ok)
            let body = try await client.body.collect(upTo: 100)
            #expect(String(buffer: body) == "until the end")
            #expect(!client.isReusable)
        }
    }

    @Test func informationalAnswersAreSkipped() async throws {
        try await Self.withAnswer("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        { client in
            let head = try await client.receiveHead()
            #expect(head.status == .notFound)
        }
    }

    @Test func truncatedBodyIsAnError() async throws {
        try await Self.withAnswer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc") { client in
            _ = try await client.receiveHead()
            await #expect(throws: HTTPServingError.self) { _ = try await client.body.collect(upTo: 100) }
        }
    }

    @Test func bytesAndEOFBehindA101ReachTheTunnel() async throws {
        let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n"
        try await Self.withAnswer(head + "greeting") { client in
            #expect(try await client.receiveHead().status == .switchingProtocols)
            let tunnel = try await client.becomeTunnel()
            var whole = ByteBuffer()
            for try await bytes in tunnel.inbound { whole.writeImmutableBuffer(bytes) }
            #expect(String(buffer: whole) == "greeting")
        }
    }
}

private final class AnswerAndClose: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let answer: String
    init(_ answer: String) { self.answer = answer }
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(NIOAny(ByteBuffer(string: answer))).whenComplete { _ in bound.value.close(promise: nil) }
    }
}

extension HTTPHeaders {
    func appending(_ more: HTTPHeaders) -> HTTPHeaders {
        var all = self
        all.add(contentsOf: more)
        return all
    }
}
