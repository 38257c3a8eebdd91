import ComputeCore
import FoundationEssentials
import HTTPServing
import NIOCore
import NIOHTTP1
import Testing

extension SidekickPlace {
    /// A WebSocket with this target, as a client that says short texts.
    func webSocket(_ target: String, _ body: (WebSocketPeer) async throws -> Void) async throws {
        let connection = try await HTTPClientConnection.connect(to: listen, timeout: .seconds(5))
        do {
            let headers: HTTPHeaders = [
                "Host": "sidekick", "Authorization": "Bearer \(secret)", "Connection": "Upgrade",
                "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": Data((0..<16).map { _ in .random(in: 0 ... .max) }).base64EncodedString(),
            ]
            try await connection.sendHead(
                HTTPRequestHead(version: .http1_1, method: .GET, uri: target, headers: headers))
            try await connection.finish()
            let head = try await connection.receiveHead()
            try #require(head.status == .switchingProtocols)
            try await body(WebSocketPeer(tunnel: try await connection.becomeTunnel()))
        } catch {
            await connection.close()
            throw error
        }
        await connection.close()
    }
}

extension SidekickPlace.Answer {
    /// A text of the envelope's `data`.
    func data(_ name: String) -> String? {
        guard case .object(let data)? = json["data"], case .string(let text)? = data[name] else { return nil }
        return text
    }
}

struct WebSocketPeer {
    let tunnel: ByteTunnel

    /// One text frame, masked as a client must, with a mask that changes nothing.
    func send(_ text: String) async throws {
        let bytes = Array(text.utf8)
        try #require(bytes.count < 1 << 16)
        let length: [UInt8] =
            bytes.count < 126
            ? [0x80 | UInt8(bytes.count)] : [0x80 | 126, UInt8(bytes.count >> 8), UInt8(bytes.count & 0xFF)]
        try await tunnel.write(ByteBuffer(bytes: [0x81] + length + [0, 0, 0, 0] + bytes))
    }

    /// Everything that came until these words did; frame headers are in it, as characters that say nothing.
    func text(until words: String) async throws -> String {
        var all = ""
        for try await bytes in tunnel.inbound {
            all += String(decoding: bytes.readableBytesView, as: UTF8.self)
            if all.contains(words) { break }
        }
        return all
    }
}
