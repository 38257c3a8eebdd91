import ComputeCore
import Glibc
import HTTPServing
import NIOCore
import NIOHTTP1
import NIOWebSocket
import Testing
import WebSockets

@Suite struct WebSocketTests {
    /// The example of RFC 6455 §1.3, so that the accept key is known.
    static let request =
        "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
        + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

    private static func frame(_ first: UInt8, _ payload: [UInt8]) -> ByteBuffer {
        precondition(payload.count <= 125)
        let key: [UInt8] = [9, 8, 7, 6]
        return ByteBuffer(
            bytes: [first, 0x80 | UInt8(payload.count)] + key
                + payload.enumerated().map { $0.element ^ key[$0.offset % 4] })
    }

    private static func withSocket(
        maxMessageBytes: Int = 1 << 20, pingInterval: Duration = .seconds(25),
        _ handle: @escaping @Sendable (WebSocketConnection) async throws -> Void,
        _ perform: @escaping @Sendable (RawPeer) async throws -> Void
    ) async throws {
        try await withServer({ exchange in
            let socket = try await WebSocketConnection.accept(
                exchange, maxMessageBytes: maxMessageBytes, pingInterval: pingInterval)
            try await handle(socket)
        }) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send(request)
            let head = try await peer.read(through: "\r\n\r\n")
            #expect(head.hasPrefix("HTTP/1.1 101 "))
            #expect(head.lowercased().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="))
            try await perform(peer)
            try? await peer.close()
        }
    }

    private static let echo: @Sendable (WebSocketConnection) async throws -> Void = { socket in
        for try await message in socket.messages {
            if case .text(let text) = message { try await socket.send(text) }
        }
    }

    @Test func echoesAnswersPingsAndCloses() async throws {
        try await Self.withSocket(Self.echo) { peer in
            try await peer.send(Self.frame(0x01, Array("Hel".utf8)))
            try await peer.send(Self.frame(0x89, [7]))
            #expect(try await peer.read(bytes: 3) == ByteBuffer(bytes: [0x8A, 1, 7]))
            try await peer.send(Self.frame(0x80, Array("lo".utf8)))
            #expect(try await peer.read(bytes: 7) == ByteBuffer(bytes: [0x81, 5] + Array("Hello".utf8)))
            try await peer.send(Self.frame(0x88, [0x03, 0xE8]))
            #expect(try await peer.read(bytes: 4) == ByteBuffer(bytes: [0x88, 2, 0x03, 0xE8]))
            #expect(try await peer.readToEnd() == "")
        }
    }

    @Test func tooBigFramesClose1009AndUnmaskedOnes1002() async throws {
        try await Self.withSocket(maxMessageBytes: 200, Self.echo) { peer in
            try await peer.send(ByteBuffer(bytes: [0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0]))
            #expect(try await peer.read(bytes: 4).getInteger(at: 2, as: UInt16.self) == 1009)
        }
        try await Self.withSocket(Self.echo) { peer in
            try await peer.send(ByteBuffer(bytes: [0x81, 1, 0x61]))
            #expect(try await peer.read(bytes: 4).getInteger(at: 2, as: UInt16.self) == 1002)
        }
    }

    @Test func ourCloseWaitsForTheAnswerButNotForever() async throws {
        let closed = Expectation<Bool>()
        try await Self.withSocket({ socket in
            await socket.close(code: 1001, reason: "going away")
            closed.fulfil(true)
        }) { peer in
            #expect(try await peer.read(bytes: 4).getInteger(at: 2, as: UInt16.self) == 1001)
            #expect(try await peer.read(through: "going away") == "going away")
            try await peer.send(Self.frame(0x88, [0x03, 0xE9]))
            #expect(try await closed.value())
            #expect(try await peer.readToEnd() == "")
        }
        try await Self.withSocket({ await $0.close(code: 1000, reason: "") }) { peer in
            let close = try await peer.read(bytes: 4)
            #expect(close.getInteger(at: 2, as: UInt16.self) == 1000)
            #expect(try await peer.readToEnd() == "")
        }
    }

    @Test func silentPeersArePingedAndThenDropped() async throws {
        try await Self.withSocket(pingInterval: .milliseconds(50), Self.echo) { peer in
            let pings = try await peer.read(bytes: 4)
            #expect(pings == ByteBuffer(bytes: [0x89, 0, 0x89, 0]))
            #expect(try await peer.read(bytes: 4).getInteger(at: 2, as: UInt16.self) == 1011)
        }
    }

    @Test func concurrentSendsDoNotMixFrames() async throws {
        let count = 200
        try await Self.withSocket({ socket in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<count {
                    group.addTask {
                        try await socket.send(
                            String(repeating: Character(UnicodeScalar(UInt8(97 + index % 26))), count: 100))
                    }
                }
                try await group.waitForAll()
            }
            await socket.close(code: 1000, reason: "")
        }) { peer in
            for _ in 0..<count {
                let bytes = try await peer.read(bytes: 102)
                #expect(bytes.getBytes(at: 0, length: 2) == [0x81, 100])
                #expect(Set(bytes.getBytes(at: 2, length: 100)!).count == 1)
            }
        }
    }

    @Test func requestsThatAreNoWebSocketAreToldApart() async throws {
        let codes = Expectation<String>()
        try await withServer({ exchange in
            do {
                _ = try await WebSocketConnection.accept(exchange)
            } catch let error as HTTPServingError {
                codes.fulfil(error.code.description)
                try await exchange.respond(status: .badRequest)
            }
        }) { endpoint, _ in
            for request in [
                "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
                Self.request.replacing("Version: 13", with: "Version: 8"),
            ] {
                let peer = try await RawPeer.connect(endpoint)
                try await peer.send(request)
                #expect(try await codes.value() == "notUpgradable")
                #expect(try await peer.read(through: "\r\n\r\n").hasPrefix("HTTP/1.1 400 "))
                try? await peer.close()
            }
        }
    }
}

extension String {
    fileprivate func replacing(_ part: String, with other: String) -> String {
        guard let end = range(ofText: part) else { return self }
        return String(self[..<utf8.index(end, offsetBy: -part.utf8.count)]) + other + self[end...]
    }
}
