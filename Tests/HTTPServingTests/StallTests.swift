import ComputeCore
import HTTPServing
import NIOCore
import NIOHTTP1
import Testing
import WebSockets

@Suite struct StallTests {
    @Test func peerThatStopsReadingIsCut() async throws {
        let failed = Expectation<Bool>()
        try await withServer(
            limits: HTTPLimits(stallTimeout: .milliseconds(200)),
            { exchange in
                let writer = try await exchange.startResponse(status: .ok)
                let part = ByteBuffer(repeating: 0x61, count: 64 * 1024)
                do {
                    while true { try await writer.write(part) }
                } catch {
                    failed.fulfil(true)
                    throw error
                }
            }
        ) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try await failed.value())
            try? await peer.close()
        }
    }

    @Test func peerThatReadsSlowlyIsNotCut() async throws {
        let bytes = 16 << 20
        let file = try SentFile([UInt8](repeating: 7, count: bytes))
        // Its buffers do not grow, as those of TCP do: the kernel takes more as soon as the peer has read some.
        let path = temporarySocketPath()
        defer { removeSocketDirectory(path) }
        try await withServer(
            listen: .unix(path: path), limits: HTTPLimits(stallTimeout: .seconds(4)),
            { exchange in
                let writer = try await exchange.startResponse(status: .ok, headers: ["Content-Length": "\(bytes)"])
                try await writer.write(file.region(0..<bytes))
                try await writer.finish()
            }
        ) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            _ = try await peer.read(through: "\r\n\r\n")
            // Longer than a standstill may last, all in all.
            for _ in 0..<16 {
                #expect(try await peer.read(bytes: 1 << 20).readableBytes == 1 << 20)
                try await Task.sleep(for: .milliseconds(300))
            }
            try await peer.close()
        }
    }

    @Test func closingAWebSocketDoesNotWaitForAPeerThatDoesNotRead() async throws {
        let closed = Expectation<Bool>()
        try await withServer({ exchange in
            let socket = try await WebSocketConnection.accept(exchange)
            let sent = NIOLockedValue(0)
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    let part = ByteBuffer(repeating: 0x61, count: 64 * 1024)
                    while (try? await socket.send(part)) != nil { sent.withValue { $0 += 1 } }
                }
                var before = -1
                while before == 0 || before != sent.withValue({ $0 }) {
                    before = sent.withValue { $0 }
                    try? await Task.sleep(for: .milliseconds(100))
                }
                await socket.close(code: 1000, reason: "")
                closed.fulfil(true)
            }
        }) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send(
                "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                    + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            #expect(try await closed.value())
            try? await peer.close()
        }
    }
}
