import NIOCore
package import NIOHTTP1
import NIOWebSocket

extension HTTPExchange {
    /// Answers `status` (101, or 200 to a CONNECT) and hands over the raw connection, including bytes that came right
    /// behind the request. The connection closes when the handler returns.
    package func upgradeToBytes(
        status: HTTPResponseStatus = .switchingProtocols, headers: HTTPHeaders
    ) async throws -> ByteTunnel {
        guard upgrade != nil || head.method == .CONNECT else {
            throw HTTPServingError(.notUpgradable, "the request asks for no upgrade")
        }
        try await finishRequest()
        try await perform { [try $0.upgrade(status: status, headers: headers)] }
        try await connection.switchToBytes()
        return ByteTunnel(line: connection.line)
    }

    /// Does the RFC 6455 handshake. `notUpgradable` when the request is not a proper one: answer that with 400, or
    /// with 426 and `Sec-WebSocket-Version: 13`.
    package func upgradeToWebSocket(
        headers: HTTPHeaders = [:], maxFrameBytes: Int = 1 << 20
    ) async throws -> WebSocketFrameChannel {
        guard upgrade == "websocket", head.method == .GET else {
            throw HTTPServingError(.notUpgradable, "not a WebSocket request")
        }
        // NIO's upgrader only computes the answer here (it has the SHA-1); the pipeline is ours.
        let upgrader = NIOWebSocketServerUpgrader(
            shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture([:]) },
            upgradePipelineHandler: { channel, _ in channel.eventLoop.makeSucceededVoidFuture() })
        let channel = connection.line.channel
        let answer: HTTPHeaders
        do {
            let head = head
            answer = try await channel.eventLoop.flatSubmit {
                upgrader.buildUpgradeResponse(
                    channel: channel, upgradeRequest: head, initialResponseHeaders: headers)
            }.get()
        } catch {
            throw HTTPServingError(.notUpgradable, "not a proper WebSocket request", cause: error)
        }
        try await finishRequest()
        try await perform { [try $0.upgrade(status: .switchingProtocols, headers: answer)] }
        try await connection.switchToWebSocket(maxFrameBytes: maxFrameBytes)
        return WebSocketFrameChannel(line: connection.line)
    }

    /// An upgrade request may have a body; the new protocol begins after it.
    private func finishRequest() async throws {
        guard await body.reader.drain(upTo: connection.limits.maxDrainBytes) else {
            throw HTTPServingError(.notUpgradable, "the upgrade request's body is too large or did not end")
        }
    }
}
