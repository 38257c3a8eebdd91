import ComputeCore
import Glibc
import HTTPServing
import NIOCore
import NIOHTTP1
import Testing

@Suite struct UpgradeTests {
    static let request = "GET /t HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: Raw\r\n\r\n"

    static let tunnelEcho: @Sendable (HTTPExchange) async throws -> Void = { exchange in
        let tunnel = try await exchange.upgradeToBytes(
            headers: ["Connection": "Upgrade", "Upgrade": exchange.upgrade ?? "none"])
        for try await bytes in tunnel.inbound { try await tunnel.write(bytes) }
        try await tunnel.write(ByteBuffer(string: "bye"))
        await tunnel.closeOutput()
    }

    @Test func bytesBehindTheRequestBelongToTheTunnel() async throws {
        try await withServer(Self.tunnelEcho) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send(Self.request + "GET / HTTP/1.1\r\n\u{0}early")
            #expect(
                try await peer.read(through: "\r\n\r\n")
                    == "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n")
            #expect(try await peer.read(through: "early") == "GET / HTTP/1.1\r\n\u{0}early")
            try await peer.closeOutput()
            #expect(try await peer.readToEnd() == "bye")
        }
    }

    @Test func bodyOfAnUpgradeRequestMayComeLater() async throws {
        try await withServer({ exchange in
            try await exchange.respond(status: .ok, body: try await exchange.collectBody(upTo: 1 << 20))
        }) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send(
                "POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                    + "HTTP2-Settings: AAMAAABkAAQAAP__\r\nExpect: 100-continue\r\nContent-Length: 200004\r\n\r\n")
            // The server has the head and waits: the body is certainly not in the same read.
            _ = try await peer.read(through: "HTTP/1.1 100 Continue\r\n\r\n")
            try await peer.send(String(repeating: "x", count: 200_000))
            try await peer.send("done")
            let answer = try await peer.readToEnd()
            #expect(answer.hasPrefix("HTTP/1.1 200 ") && answer.hasSuffix("xdone"))
        }
    }

    @Test func tunnelsAreByteExactUnderBackPressure() async throws {
        try await withServer(Self.tunnelEcho) { endpoint, _ in
            let client = try await HTTPClientConnection.connect(to: endpoint, timeout: .seconds(10))
            try await client.sendHead(
                HTTPRequestHead(
                    version: .http1_1, method: .GET, uri: "/",
                    headers: ["Host": "h", "Connection": "upgrade", "Upgrade": "raw"]))
            try await client.finish()
            #expect(try await client.receiveHead().status == .switchingProtocols)
            let tunnel = try await client.becomeTunnel()
            let part = ByteBuffer(bytes: (0..<100_003).map { UInt8(truncatingIfNeeded: $0 &* 31) })
            let parts = 60
            async let sent: Void = {
                for _ in 0..<parts { try await tunnel.write(part) }
                await tunnel.closeOutput()
            }()
            let received = try await deadline(.seconds(30)) {
                var whole = ByteBuffer()
                for try await bytes in tunnel.inbound { whole.writeImmutableBuffer(bytes) }
                return whole
            }
            try await sent
            var expected = ByteBuffer()
            for _ in 0..<parts { expected.writeImmutableBuffer(part) }
            expected.writeString("bye")
            #expect(received == expected)
            await tunnel.close()
        }
    }

    @Test func upgradeThatIsNotTakenIsAnsweredAndTheConnectionCloses() async throws {
        try await withServer(ServerTests.echo) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send(
                "POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                    + "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nContent-Length: 4\r\n\r\nbody")
            let answer = try await peer.readToEnd()
            #expect(answer.contains("\r\nConnection: close\r\n"))
            #expect(answer.hasSuffix("POST body"))
        }
    }

    @Test func upgradeHeaderWithoutConnectionIsOrdinary() async throws {
        try await withServer(ServerTests.echo) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            for _ in 0..<2 {
                try await peer.send("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\n\r\n")
                #expect(try await !peer.read(through: "GET ").contains("close"))
            }
            try await peer.close()
        }
    }
}
