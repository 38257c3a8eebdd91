import ComputeCore
import HTTPServing
import NIOCore
import NIOHTTP1
import SidekickService
import Testing

/// The `/ws` route by itself, where time is ours.
@Suite(.timeLimit(.minutes(1))) struct EventSocketTests {
    private struct Alone: HTTPHandler {
        let route: SidekickRoute

        func handle(_ exchange: HTTPExchange) async throws {
            let user = UserIdentity(name: "nobody", ids: nil, home: "/", shell: "/bin/sh")
            let compute = ComputeContext(
                computeID: .random(), env: [:], directory: "/", user: user, url: "", portURLTemplate: nil)
            _ = try await route.handle(
                SidekickRequest(
                    exchange: exchange, method: .GET, path: "/ws", query: "", requestID: .random(), compute: compute))
        }
    }

    @Test func aSilentClientIsPingedAndGivenUpAfterTwoPings() async throws {
        #expect(EventSocket.pingInterval == .seconds(25), "proxies drop what is silent for half a minute")
        let socket = EventSocket(broker: EventBroker(), messages: [], pingInterval: .milliseconds(50)) { _ in }
        let server = HTTPServer(
            listen: .tcp(host: "127.0.0.1", port: 0), handler: Alone(route: try #require(socket.routes.first)))
        let endpoint = try await server.bind()
        async let running: Void = server.run()
        let connection = try await HTTPClientConnection.connect(to: endpoint, timeout: .seconds(30))
        try await connection.sendHead(
            HTTPRequestHead(
                version: .http1_1, method: .GET, uri: "/ws",
                headers: [
                    "Host": "h", "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
                ]))
        try await connection.finish()
        #expect(try await connection.receiveHead().status == .switchingProtocols)
        let tunnel = try await connection.becomeTunnel()
        var received = ByteBuffer()
        for try await bytes in tunnel.inbound where received.readableBytes < 8 { received.writeImmutableBuffer(bytes) }
        // Two pings, and a close with 1011.
        #expect(Array(received.readableBytesView.prefix(5)) == [0x89, 0, 0x89, 0, 0x88])
        #expect(Array(received.readableBytesView.dropFirst(6).prefix(2)) == [0x03, 0xF3])
        await tunnel.close()
        await server.shutdown(deadline: .zero)
        try await running
    }
}
