package import HTTPServing
package import NIOCore
import NIOHTTP1
import NIOWebSocket
import Synchronization

/// A server's side of a WebSocket.
///
/// A task of its own reads frames, answers pings and closes, and puts messages into a bounded queue; it is the edge
/// between the event loop and whoever reads `messages`, and ends with the connection.
package final class WebSocketConnection: Sendable {
    private enum Phase {
        case open
        /// We sent a close and wait for the peer's, or answered one.
        case closing
        case closed
    }

    private let frames: WebSocketFrameChannel
    private let incoming: BoundedQueue<WebSocketMessage>
    private let drained: Signal
    private let phase = Mutex(Phase.open)
    private let keepAlive = Mutex(KeepAlive())

    /// How long the peer may take to answer our close.
    private static let closeTimeout = TimeAmount.seconds(2)

    private init(frames: WebSocketFrameChannel) {
        self.frames = frames
        let drained = Signal()
        self.drained = drained
        self.incoming = BoundedQueue { drained.raise() }
        frames.whenClosed { drained.openForGood() }
    }

    /// Does the handshake. `HTTPServingError(.notUpgradable)` when the request is no proper one and nothing was sent.
    package static func accept(
        _ exchange: HTTPExchange, maxMessageBytes: Int = 1 << 20, pingInterval: Duration = .seconds(25)
    ) async throws -> WebSocketConnection {
        // Control frames may have 125 bytes whatever the limit for messages is.
        let frames = try await exchange.upgradeToWebSocket(maxFrameBytes: max(maxMessageBytes, 125))
        let connection = WebSocketConnection(frames: frames)
        connection.start(maxMessageBytes: maxMessageBytes, pingInterval: pingInterval)
        return connection
    }

    /// Whole messages, up to the close. Single pass; while nobody reads, the peer is slowed down.
    package var messages: Messages { Messages(incoming: incoming) }

    package struct Messages: AsyncSequence, Sendable {
        package typealias Element = WebSocketMessage
        let incoming: BoundedQueue<WebSocketMessage>
        package func makeAsyncIterator() -> Iterator { Iterator(incoming: incoming) }

        package struct Iterator: AsyncIteratorProtocol {
            let incoming: BoundedQueue<WebSocketMessage>
            package mutating func next() async throws -> WebSocketMessage? { try await incoming.next() }
        }
    }

    /// Suspends until the kernel took the message. Concurrent calls go out whole, in order.
    package func send(_ text: String) async throws {
        try await send(.text, ByteBuffer(string: text))
    }

    /// A text message that is there as bytes already; they must be UTF-8.
    package func send(utf8: [UInt8]) async throws {
        try await send(.text, ByteBuffer(bytes: utf8))
    }

    package func send(_ bytes: ByteBuffer) async throws {
        try await send(.binary, bytes)
    }

    /// Closes with a handshake: at most two seconds, then the connection is closed anyway. Later calls do nothing.
    package func close(code: UInt16, reason: String) async {
        // The reading task sees the peer's answer and closes; a peer that does not answer, or does not even read, is
        // not waited for.
        let timer = frames.eventLoop.scheduleTask(in: Self.closeTimeout) { [frames] in frames.abort() }
        defer { timer.cancel() }
        guard await sendClose(code, reason) else { return }
        // Messages are dropped from now on, so the reading task can go on to the peer's answer.
        drained.openForGood()
        await frames.waitUntilClosed()
    }

    // MARK: - Reading

    private func start(maxMessageBytes: Int, pingInterval: Duration) {
        let interval = TimeAmount(pingInterval)
        let pings = frames.eventLoop.scheduleRepeatedAsyncTask(initialDelay: interval, delay: interval) {
            [frames, weak self] _ in
            // Before the promise: one that is dropped unfulfilled is a trap.
            guard let self else { return frames.eventLoop.makeSucceededVoidFuture() }
            let done = frames.eventLoop.makePromise(of: Void.self)
            done.completeWithTask { await self.intervalPassed() }
            return done.futureResult
        }
        Task(executorPreference: frames.executor) {
            await self.read(maxMessageBytes: maxMessageBytes)
            pings.cancel()
        }
    }

    private func read(maxMessageBytes: Int) async {
        var assembler = MessageAssembler(maxMessageBytes: maxMessageBytes)
        do {
            for try await frame in frames.inbound {
                keepAlive.withLock { $0.heard() }
                guard await perform(assembler.received(frame)) else { break }
            }
        } catch let error as NIOWebSocketError {
            if case .invalidFrameLength = error {
                await fail(1009, "the message has more than \(maxMessageBytes) bytes")
            } else {
                await fail(1002, "a control frame is malformed")
            }
        } catch {
            // The connection broke; `messages` ends like after a close, since nobody can be told anything.
        }
        phase.withLock { $0 = .closed }
        incoming.finish()
        await frames.close()
    }

    /// False when the connection is over.
    private func perform(_ order: MessageAssembler.Order) async -> Bool {
        switch order {
        case .doNothing: return true
        case .pong(let data):
            return (try? await frames.write(WebSocketFrame(fin: true, opcode: .pong, data: data))) != nil
        case .deliver(let message):
            // After our close nobody expects messages any more.
            guard phase.withLock({ $0 == .open }) else { return true }
            if !incoming.push(message, cost: message.cost) { await drained.wait() }
            return true
        case .answerClose(let code):
            await sendClose(code, "")
            return false
        case .fail(let code, let reason):
            await fail(code, reason)
            return false
        }
    }

    private func fail(_ code: UInt16, _ reason: String) async {
        await sendClose(code, reason)
        // As with HTTP: end our side first, so that unread bytes do not reset the connection under our close frame.
        await frames.linger(for: Self.closeTimeout)
    }

    // MARK: - Writing

    private func send(_ opcode: WebSocketOpcode, _ data: ByteBuffer) async throws {
        guard phase.withLock({ $0 == .open }) else {
            throw HTTPServingError(.connectionClosed, "the WebSocket is closed")
        }
        try await frames.write(WebSocketFrame(fin: true, opcode: opcode, data: data))
    }

    /// False when a close was sent before.
    @discardableResult
    private func sendClose(_ code: UInt16?, _ reason: String) async -> Bool {
        let first = phase.withLock { phase in
            defer { if phase == .open { phase = .closing } }
            return phase == .open
        }
        guard first else { return false }
        var data = ByteBuffer()
        if let code {
            data.writeInteger(MessageAssembler.mayBeSent(code) ? code : 1011)
            data.writeSubstring(reason.prefix(utf8Bytes: 123))
        }
        try? await frames.write(WebSocketFrame(fin: true, opcode: .connectionClose, data: data))
        return true
    }

    private func intervalPassed() async {
        switch keepAlive.withLock({ $0.intervalPassed(readingPaused: frames.isInboundWaiting) }) {
        case .ping: try? await frames.write(WebSocketFrame(fin: true, opcode: .ping, data: ByteBuffer()))
        case .giveUp:
            // The peer may have stopped reading, too: then the close frame never leaves, and must not be waited for.
            let timer = frames.eventLoop.scheduleTask(in: Self.closeTimeout) { [frames] in frames.abort() }
            await sendClose(1011, "no answer to pings")
            timer.cancel()
            frames.abort()
        }
    }
}

extension WebSocketMessage {
    fileprivate var cost: Int {
        switch self {
        case .text(let text): text.utf8.count + 64
        case .binary(let bytes): bytes.readableBytes + 64
        }
    }
}

extension String {
    /// The longest prefix of whole characters with at most that many bytes.
    fileprivate func prefix(utf8Bytes limit: Int) -> Substring {
        var end = startIndex
        var left = limit
        while end < endIndex, self[end].utf8.count <= left {
            left -= self[end].utf8.count
            end = index(after: end)
        }
        return self[..<end]
    }
}
