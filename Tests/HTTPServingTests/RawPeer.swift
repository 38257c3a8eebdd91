import ComputeCore
import Glibc
import HTTPServing
import NIOCore
import NIOHTTP1
import NIOPosix

/// A client that sends exact bytes and reads exact bytes: what no HTTP library lets one do.
final class RawPeer: Sendable {
    struct TimedOut: Error { let got: String }

    let channel: any Channel
    private let received: BoundedQueue<ByteBuffer>
    private let buffer = NIOLockedValue(ByteBuffer())

    private init(channel: any Channel, received: BoundedQueue<ByteBuffer>) {
        self.channel = channel
        self.received = received
    }

    static func connect(_ endpoint: Endpoint) async throws -> RawPeer {
        let address =
            switch endpoint {
            case .tcp(let host, let port): try SocketAddress(ipAddress: host, port: port)
            case .unix(let path): try SocketAddress(unixDomainSocketPath: path)
            }
        return try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelOption(.autoRead, value: false)
            .connect(to: address) { channel in
                channel.eventLoop.makeCompletedFuture {
                    let received = BoundedQueue<ByteBuffer> { channel.read() }
                    try channel.pipeline.syncOperations.addHandler(Reader(received))
                    return RawPeer(channel: channel, received: received)
                }
            }
    }

    func send(_ text: String) async throws { try await send(ByteBuffer(string: text)) }
    func send(_ bytes: ByteBuffer) async throws { try await channel.writeAndFlush(bytes) }
    func closeOutput() async throws { try await channel.close(mode: .output) }
    func close() async throws { try await channel.close() }

    /// Everything up to and including `mark`.
    func read(through mark: String) async throws -> String {
        try await within { [self] in
            while true {
                let text = buffer.withValue { String(buffer: $0) }
                if let end = text.range(ofText: mark) {
                    let taken = String(text[..<end])
                    buffer.withValue { $0.moveReaderIndex(forwardBy: taken.utf8.count) }
                    return taken
                }
                guard let more = try await received.next() else { throw TimedOut(got: text) }
                buffer.withValue { $0.writeImmutableBuffer(more) }
            }
        }
    }

    func read(bytes count: Int) async throws -> ByteBuffer {
        try await within { [self] in
            while true {
                if let taken = buffer.withValue({ $0.readSlice(length: count) }) { return taken }
                guard let more = try await received.next() else { throw TimedOut(got: "\(count)") }
                buffer.withValue { $0.writeImmutableBuffer(more) }
            }
        }
    }

    /// Everything up to the server's EOF or reset.
    func readToEnd() async throws -> String {
        try await within { [self] in
            while let more = try? await received.next() { buffer.withValue { $0.writeImmutableBuffer(more) } }
            try Task.checkCancellation()
            return buffer.withValue { value in
                defer { value.clear() }
                return String(buffer: value)
            }
        }
    }

    private func within<T: Sendable>(_ perform: @escaping @Sendable () async throws -> T) async throws -> T {
        try await deadline(.seconds(60), perform)
    }

    private final class Reader: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let received: BoundedQueue<ByteBuffer>
        init(_ received: BoundedQueue<ByteBuffer>) { self.received = received }

        func handlerAdded(context: ChannelHandlerContext) { if context.channel.isActive { context.read() } }
        func channelActive(context: ChannelHandlerContext) { context.read() }
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = unwrapInboundIn(data)
            received.push(bytes, cost: bytes.readableBytes)
        }
        func channelReadComplete(context: ChannelHandlerContext) { if received.wantsMore { context.read() } }
        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if let event = event as? ChannelEvent, event == .inputClosed { received.finish() }
        }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { received.finish(throwing: error) }
        func channelInactive(context: ChannelHandlerContext) { received.finish() }
    }
}

extension String {
    /// The index behind the first occurrence.
    func range(ofText mark: String) -> Index? {
        var start = startIndex
        while start < endIndex {
            if self[start...].utf8.starts(with: mark.utf8) { return utf8.index(start, offsetBy: mark.utf8.count) }
            start = utf8.index(after: start)
        }
        return nil
    }
}
