import Glibc
import NIOCore
import NIOHTTP1
import NIOWebSocket

/// What a connection receives, whichever protocol it speaks at the moment.
enum InboundPart: Sendable {
    case request(HTTPRequestHead)
    case response(HTTPResponseHead)
    case bytes(ByteBuffer)
    case end(HTTPHeaders?)
    case frame(WebSocketFrame)
}

/// The writing side of a connection and its inbound queue: all that the layers above need of a channel.
final class Line: Sendable {
    let channel: any Channel
    let inbound: BoundedQueue<InboundPart>
    /// When the kernel takes neither the rest of a write nor `leastProgress` in that time, the connection is closed: the peer has
    /// stopped reading, and would otherwise hold both ends of a proxied stream for as long as it likes.
    private let stallTimeout: TimeAmount
    private static let leastProgress = 64 << 10

    init(channel: any Channel, inbound: BoundedQueue<InboundPart>, stallTimeout: Duration) {
        self.channel = channel
        self.inbound = inbound
        self.stallTimeout = TimeAmount(stallTimeout)
    }

    /// Writes the buffers in one go and suspends until the kernel took them: that is the back-pressure.
    ///
    /// Calls are put on the wire in the order they are made. A cancelled caller stops waiting, but its bytes still
    /// go out whole, since half a message would garble all that follow.
    func write(_ buffers: ByteBuffer...) async throws { try await write(parts: buffers) }

    func write<Part: Sendable>(parts: [Part]) async throws {
        guard !parts.isEmpty else { return }
        let promise = channel.eventLoop.makePromise(of: Void.self)
        send(parts, promise)
        try await Self.translating {
            try await withTaskCancellationHandler {
                try await promise.futureResult.get()
            } onCancel: {
                // Completing a promise a second time does nothing, so the write may still end as it likes.
                promise.fail(CancellationError())
            }
        }
    }

    /// Some of a file. Whoever owns the file may close it when this returns, so a cancelled caller waits too, for the
    /// connection's end.
    /// - Parameter head: what goes before it; in one packet with its begin, so that the peer is woken up once.
    func write(_ region: FileRegion, behind head: ByteBuffer? = nil) async throws {
        let promise = channel.eventLoop.makePromise(of: Void.self)
        if let head {
            holdsPackets(true)
            promise.futureResult.whenComplete { _ in self.holdsPackets(false) }
            send([.byteBuffer(head), .fileRegion(region)] as [IOData], promise)
        } else {
            send([region], promise)
        }
        // What the file no longer has by then would be tried again for ever.
        let watch = channel.eventLoop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) {
            [channel] _ in
            if region.isCutOff { channel.close(promise: nil) }
        }
        defer { watch.cancel() }
        try await Self.translating {
            try await withTaskCancellationHandler {
                try await promise.futureResult.get()
            } onCancel: { [channel] in
                channel.close(promise: nil)
            }
        }
    }

    /// Whether the kernel waits until a packet is full. Something of TCP's.
    private func holdsPackets(_ holds: Bool) {
        channel.eventLoop.execute { [channel] in
            try? channel.syncOptions?.setOption(.tcpOption(.init(rawValue: TCP_CORK)), value: holds ? 1 : 0)
        }
    }

    private func send<Part: Sendable>(_ parts: [Part], _ promise: EventLoopPromise<Void>) {
        channel.eventLoop.execute { [channel, stallTimeout] in
            for part in parts.dropLast() { channel.write(part, promise: nil) }
            channel.writeAndFlush(parts[parts.count - 1], promise: promise)
            // Nearly every write is taken at once and needs no timer.
            let outcome = promise.futureResult.assumeIsolated()
            var isTaken = false
            outcome.whenComplete { _ in isTaken = true }
            guard !isTaken else { return }
            let left = NIOLoopBoundBox(channel.waitingBytes, eventLoop: channel.eventLoop)
            let timer = channel.eventLoop.scheduleRepeatedTask(initialDelay: stallTimeout, delay: stallTimeout) { _ in
                let now = channel.waitingBytes
                if now > left.value - Self.leastProgress { channel.close(promise: nil) }
                left.value = now
            }
            outcome.whenComplete { _ in timer.cancel() }
        }
    }

    private static func translating(_ writing: () async throws -> Void) async throws {
        do {
            try await writing()
        } catch let error as CancellationError {
            throw error
        } catch {
            throw HTTPServingError(.connectionClosed, "the peer does not take our bytes any more", cause: error)
        }
    }

    func closeOutput() async {
        try? await channel.close(mode: .output).get()
    }

    /// Closing a socket that has unread bytes resets it, and the reset can overtake our last answer. So: end our side,
    /// then throw away what still comes, for a bounded time.
    func linger(for timeout: TimeAmount) async {
        await closeOutput()
        let timer = channel.eventLoop.scheduleTask(in: timeout) { [channel] in channel.close(promise: nil) }
        while (try? await inbound.next()) != nil {}
        // A queue that failed ends early; its receiver drops what comes until the peer closes too.
        try? await channel.closeFuture.get()
        timer.cancel()
    }

    func close() async {
        channel.close(promise: nil)
        try? await channel.closeFuture.get()
    }
}

extension Channel {
    /// What was written and the kernel has not taken.
    fileprivate var waitingBytes: Int { (try? syncOptions?.getOption(.bufferedWritableBytes)) ?? 0 }
}

extension FileRegion {
    /// The file ends before it.
    fileprivate var isCutOff: Bool {
        var info = stat()
        let status = try? fileHandle.withUnsafeFileDescriptor { fstat($0, &info) }
        return status != 0 || info.st_size < endIndex
    }
}
