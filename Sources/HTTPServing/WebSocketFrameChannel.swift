package import NIOCore
package import NIOWebSocket

/// A connection that speaks WebSocket frames; messages, pings and closing are the WebSockets target's business.
package struct WebSocketFrameChannel: Sendable {
    let line: Line

    /// The peer's frames, still masked as they came. A frame above the size limit ends it with `NIOWebSocketError`.
    package var inbound: Frames { Frames(line: line) }
    package var eventLoop: any EventLoop { line.channel.eventLoop }
    /// Of the connection's event loop, for tasks that are no children of the one that serves it.
    package var executor: any TaskExecutor { LoopExecutor(line.channel.eventLoop) }
    /// The peer's frames wait for us rather than we for them.
    package var isInboundWaiting: Bool { !line.inbound.isEmpty }

    /// Concurrent writes go out whole, in the order of the calls.
    package func write(_ frame: WebSocketFrame) async throws { try await line.write(parts: [frame]) }

    package func close() async { await line.close() }
    package func waitUntilClosed() async { try? await line.channel.closeFuture.get() }

    /// Closes without waiting for anything.
    package func abort() { line.channel.close(promise: nil) }

    package func whenClosed(_ perform: @escaping @Sendable () -> Void) {
        line.channel.closeFuture.whenComplete { _ in perform() }
    }

    /// Ends our side, then throws away what still comes, at most for `timeout`: closing a socket with unread bytes
    /// resets it, and the reset can overtake our last frame.
    package func linger(for timeout: TimeAmount) async { await line.linger(for: timeout) }

    package struct Frames: AsyncSequence, Sendable {
        package typealias Element = WebSocketFrame
        let line: Line
        package func makeAsyncIterator() -> Iterator { Iterator(line: line) }

        package struct Iterator: AsyncIteratorProtocol {
            let line: Line
            package mutating func next() async throws -> WebSocketFrame? {
                while case let part? = try await line.inbound.next() {
                    if case .frame(let frame) = part { return frame }
                }
                return nil
            }
        }
    }
}
