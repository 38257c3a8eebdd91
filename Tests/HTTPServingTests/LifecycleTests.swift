import ComputeCore
import Glibc
import HTTPServing
import NIOCore
import NIOHTTP1
import Testing
import WebSockets

@Suite struct LifecycleTests {
    @Test func shutdownClosesIdleConnectionsAndFinishesTheOthers() async throws {
        let started = Expectation<Bool>()
        let goOn = Expectation<Bool>()
        try await withServer({ exchange in
            if exchange.head.uri == "/slow" {
                started.fulfil(true)
                _ = try await goOn.value()
            }
            try await exchange.respond(status: .ok, body: ByteBuffer(string: "done"))
        }) { endpoint, server in
            let idle = try await RawPeer.connect(endpoint)
            try await idle.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            _ = try await idle.read(through: "done")
            let busy = try await RawPeer.connect(endpoint)
            try await busy.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
            _ = try await started.value()
            async let stopped: Void = server.shutdown(deadline: .seconds(60))
            #expect(try await idle.readToEnd() == "")
            await #expect(throws: (any Error).self) { _ = try await RawPeer.connect(endpoint) }
            goOn.fulfil(true)
            let answer = try await busy.readToEnd()
            #expect(answer.contains("Connection: close\r\n") && answer.hasSuffix("done"))
            await stopped
            try? await idle.close()
            try? await busy.close()
        }
    }

    @Test func shutdownCancelsAtTheDeadline() async throws {
        let started = Expectation<Bool>()
        let cancelled = Expectation<Bool>()
        try await withServer({ _ in
            started.fulfil(true)
            try? await Task.sleep(for: .seconds(60))
            cancelled.fulfil(Task.isCancelled)
        }) { endpoint, server in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            _ = try await started.value()
            await server.shutdown(deadline: .milliseconds(20))
            #expect(try await cancelled.value())
            #expect(try await peer.readToEnd() == "")
        }
    }

    @Test func shutdownDoesNotWaitForTheAnswerToAClose() async throws {
        // The close itself would wait for two seconds, each time; a busy machine is late now and then.
        var shortest = Duration.seconds(60)
        for _ in 0..<5 where shortest >= .milliseconds(1500) { shortest = min(shortest, try await shutdownInAClose()) }
        #expect(shortest < .milliseconds(1500))
    }

    private func shutdownInAClose() async throws -> Duration {
        let started = Expectation<Bool>()
        return try await withServer({ exchange in
            let socket = try await WebSocketConnection.accept(exchange)
            started.fulfil(true)
            await socket.close(code: 1001, reason: "")
        }) { endpoint, server in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send(WebSocketTests.request)
            _ = try await started.value()
            let time = await ContinuousClock().measure { await server.shutdown(deadline: .milliseconds(20)) }
            try? await peer.close()
            return time
        }
    }

    @Test func cancellationEndsRun() async throws {
        let server = HTTPServer(listen: .tcp(host: "localhost", port: 0), handler: Handler(perform: ServerTests.echo))
        let endpoint = try await server.bind()
        let running = Task { try await server.run() }
        let peer = try await RawPeer.connect(endpoint)
        try await peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        _ = try await peer.read(through: "GET ")
        running.cancel()
        #expect(try await peer.readToEnd() == "")
        try await deadline(.seconds(20)) { try await running.value }
    }

    @Test func unixSocketIsPrivateReplacesAStaleFileAndIsRemoved() async throws {
        let path = temporarySocketPath()
        defer { removeSocketDirectory(path) }
        // What a killed server leaves: a socket file nobody listens on.
        let stale = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        let address = try SocketAddress(unixDomainSocketPath: path)
        #expect(address.withSockAddr { Glibc.bind(stale, $0, socklen_t($1)) } == 0)
        close(stale)
        try await withServer(listen: .unix(path: path), ServerTests.echo) { endpoint, _ in
            #expect(endpoint == .unix(path: path))
            var info = stat()
            #expect(stat(path, &info) == 0)
            #expect(info.st_mode & 0o7777 == 0o600)
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try await peer.read(through: "GET ").hasPrefix("HTTP/1.1 200 "))
            try await peer.close()
            let second = HTTPServer(listen: endpoint, handler: Handler(perform: ServerTests.echo))
            await #expect(throws: HTTPServingError.self) { _ = try await second.bind() }
        }
        #expect(access(path, F_OK) != 0)
    }

    @Test func tooLongSocketPathIsNamed() async throws {
        let path = "/tmp/" + String(repeating: "x", count: 103)
        let error = await #expect(throws: HTTPServingError.self) {
            _ = try await HTTPServer(listen: .unix(path: path), handler: Handler(perform: ServerTests.echo)).bind()
        }
        #expect(error?.code == .bindFailed)
        #expect(error?.message.contains("107") == true)
    }
}
