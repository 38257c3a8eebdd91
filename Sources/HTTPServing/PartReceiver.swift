import NIOCore

/// Last in every pipeline: puts what the protocol's parser emits into the connection's queue, and asks for more bytes
/// only while the queue has room. The channel's own auto-read is off.
final class PartReceiver<Part>: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = Part

    private let inbound: BoundedQueue<InboundPart>
    /// The part for the queue and its cost in bytes; nil drops it.
    private let convert: (PartReceiver, Part) -> (InboundPart, cost: Int)?
    /// True when the peer's EOF is just the end of its stream (tunnels), false when it ends the connection.
    private let endsCleanly: Bool
    private var readsPaused = false

    init(
        inbound: BoundedQueue<InboundPart>, endsCleanly: Bool,
        convert: @escaping (PartReceiver, Part) -> (InboundPart, cost: Int)?
    ) {
        self.inbound = inbound
        self.endsCleanly = endsCleanly
        self.convert = convert
    }

    /// No more reads until this receiver is replaced: what comes next belongs to another protocol.
    func pauseReads() { readsPaused = true }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive, inbound.wantsMore { context.read() }
    }

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if let (part, cost) = convert(self, unwrapInboundIn(data)) { inbound.push(part, cost: cost) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if !readsPaused, inbound.wantsMore { context.read() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed else { return }
        if endsCleanly {
            inbound.finish()
        } else {
            inbound.finish(throwing: HTTPServingError(.connectionClosed, "the peer closed the connection"))
            context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        inbound.finish(throwing: error)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if endsCleanly {
            inbound.finish()
        } else {
            inbound.finish(throwing: HTTPServingError(.connectionClosed, "the connection is closed"))
        }
    }
}
