import ComputeCore
import NIOCore
import NIOHTTP1
import NIOWebSocket
import Synchronization

/// One accepted connection: its pipeline, and the switch from HTTP to another protocol.
final class ServerConnection: Sendable {
    private struct Pipeline {
        let gate: InboundGate
        let decoder: ByteToMessageHandler<HTTPRequestDecoder>
        let receiver: PartReceiver<HTTPServerRequestPart>
    }

    let line: Line
    let remoteAddress: String?
    let localEndpoint: Endpoint?
    /// Both ends are here. The kernel lets nobody outside use a loopback address, and each end may be an address that a
    /// process here has chosen.
    let comesFromOwnMachine: Bool
    let limits: HTTPLimits
    let executor: LoopExecutor
    private let pipeline: NIOLoopBound<Pipeline>
    private let stop: EventLoopPromise<Void>
    private let state = Mutex(State())

    private struct State {
        var draining = false
        var idle = true
    }

    /// On the channel's event loop.
    init(channel: any Channel, limits: HTTPLimits, localEndpoint: Endpoint?) throws {
        let inbound = BoundedQueue<InboundPart> { channel.read() }
        var decoding = NIOHTTPDecoderLimitConfiguration()
        decoding.maxHeaderFieldSize = limits.maxHeaderBytes
        decoding.maxHeaderListSize = limits.maxHeaderBytes
        decoding.maxHeaderFieldCount = limits.maxHeaderFields
        let gate = InboundGate(headTimeout: TimeAmount(limits.headerTimeout))
        let decoder = ByteToMessageHandler(
            HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes, limitConfiguration: decoding))
        var asksForAnotherProtocol = false
        let receiver = PartReceiver<HTTPServerRequestPart>(inbound: inbound, endsCleanly: false) { receiver, part in
            switch part {
            case .head(let head):
                gate.headArrived()
                asksForAnotherProtocol = MessageRules.upgrade(head) != nil || head.method == .CONNECT
                return (.request(head), 512 + head.uri.utf8.count)
            case .body(let bytes): return (.bytes(bytes), bytes.readableBytes)
            case .end(let trailers):
                gate.messageEnded()
                // What follows an upgrade request is not HTTP, and the parser would keep all of it. Its own body comes
                // first: Java's client asks for h2c with every kind of request.
                if asksForAnotherProtocol { receiver.pauseReads() }
                return (.end(trailers), 64)
            }
        }
        try channel.pipeline.syncOperations.addHandlers(gate, decoder, receiver)
        self.line = Line(channel: channel, inbound: inbound, stallTimeout: limits.stallTimeout)
        self.limits = limits
        self.executor = LoopExecutor(channel.eventLoop)
        self.remoteAddress = channel.remoteAddress?.ipAddress
        self.localEndpoint = localEndpoint
        let ends = [channel.remoteAddress?.ipAddress, channel.localAddress?.ipAddress].map(Self.plain)
        self.comesFromOwnMachine =
            ends[0] != nil && ends[0] == ends[1] || ends.contains { $0.map(Self.isLoopback) ?? false }
        self.pipeline = NIOLoopBound(
            Pipeline(gate: gate, decoder: decoder, receiver: receiver), eventLoop: channel.eventLoop)
        let stop = channel.eventLoop.makePromise(of: Void.self)
        self.stop = stop
        channel.closeFuture.whenComplete { _ in stop.succeed() }
    }

    // MARK: - Life

    /// Returns when the connection is closed, `stopNow` was called or the task is cancelled.
    func waitUntilStopped() async {
        await withTaskCancellationHandler {
            try? await stop.futureResult.get()
        } onCancel: {
            stop.succeed()
        }
    }

    /// Ends the request in flight as if the client had gone.
    func stopNow() { stop.succeed() }

    /// Closes the connection now if it is idle, else after the request in flight.
    func drain() {
        let idle = state.withLock {
            $0.draining = true
            return $0.idle
        }
        if idle { line.channel.close(promise: nil) }
    }

    var isDraining: Bool { state.withLock { $0.draining } }

    /// False when the connection must not take a request any more.
    func beginRequest() -> Bool {
        state.withLock {
            $0.idle = false
            return !$0.draining
        }
    }

    func endRequest() { state.withLock { $0.idle = true } }

    // MARK: - Switching protocols

    /// After the 101 was written: from here on `inbound` carries the peer's bytes as they are.
    func switchToBytes() async throws {
        try await replacePipeline { channel, inbound in
            try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
            let receiver = PartReceiver<ByteBuffer>(inbound: inbound, endsCleanly: true) {
                (.bytes($1), $1.readableBytes)
            }
            try channel.pipeline.syncOperations.addHandler(receiver)
        }
    }

    func switchToWebSocket(maxFrameBytes: Int) async throws {
        try await replacePipeline { channel, inbound in
            let receiver = PartReceiver<WebSocketFrame>(inbound: inbound, endsCleanly: true) {
                (.frame($1), $1.length + 64)
            }
            try channel.pipeline.syncOperations.addHandlers(
                WebSocketFrameEncoder(),
                ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: maxFrameBytes)),
                receiver)
        }
    }

    private func replacePipeline(
        _ install: @escaping @Sendable (any Channel, BoundedQueue<InboundPart>) throws -> Void
    ) async throws {
        let channel = line.channel
        let (inbound, pipeline) = (line.inbound, pipeline)
        do {
            try await channel.eventLoop.flatSubmit { () -> EventLoopFuture<Void> in
                let old = pipeline.value
                let operations = channel.pipeline.syncOperations
                do {
                    operations.removeHandler(old.receiver, promise: nil)
                    old.gate.hold()
                    try install(channel, inbound)
                } catch {
                    return channel.eventLoop.makeFailedFuture(error)
                }
                // The parser hands over its unread bytes when it leaves; only then may newer ones pass the gate.
                return operations.removeHandler(old.decoder).map { pipeline.value.gate.release() }
            }.get()
        } catch {
            throw HTTPServingError(.connectionClosed, "the connection closed during the upgrade", cause: error)
        }
    }
}

extension ServerConnection {
    /// A listener for both families sees IPv4 addresses as `::ffff:…`.
    private static func plain(_ address: String?) -> String? {
        guard let address else { return nil }
        let mapped = "::ffff:"
        return address.lowercased().hasPrefix(mapped) ? String(address.dropFirst(mapped.count)) : address
    }

    private static func isLoopback(_ address: String) -> Bool { address.hasPrefix("127.") || address == "::1" }
}
