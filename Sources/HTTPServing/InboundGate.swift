import NIOCore

/// First in every pipeline, before the parser. It measures how long a head takes, which the parser cannot, and it
/// keeps bytes and the peer's EOF back while a protocol switch is being decided: the parser would drop what it holds
/// at EOF.
///
///     socket → InboundGate → parser → PartReceiver → BoundedQueue → task
final class InboundGate: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let headTimeout: TimeAmount?
    private var betweenMessages = true
    private var messageEndedInThisRead = false
    private var headTimer: Scheduled<Void>?

    private var holding = false
    private var held = ByteBuffer()
    private var heldInputClosed = false
    private var context: ChannelHandlerContext?

    init(headTimeout: TimeAmount?) { self.headTimeout = headTimeout }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        headTimer?.cancel()
        self.context = nil
    }

    // MARK: - Told by the receiver

    func headArrived() {
        betweenMessages = false
        headTimer?.cancel()
        headTimer = nil
    }

    func messageEnded() {
        betweenMessages = true
        messageEndedInThisRead = true
    }

    /// From now on nothing passes until `release`.
    func hold() { holding = true }

    func release() {
        guard let context else { return }
        holding = false
        headTimer?.cancel()
        headTimer = nil
        betweenMessages = false
        if held.readableBytes > 0 {
            context.fireChannelRead(wrapInboundOut(held))
            context.fireChannelReadComplete()
            held = ByteBuffer()
        }
        if heldInputClosed { context.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
    }

    // MARK: - Events

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !holding else {
            // Bounded by what the kernel's buffer holds: no reads are asked for while we hold, only EOF forces them.
            var bytes = unwrapInboundIn(data)
            held.writeBuffer(&bytes)
            return
        }
        let startsHead = betweenMessages && headTimer == nil
        context.fireChannelRead(data)
        // Still between messages although bytes came: a head has begun. (Bytes that end one message and begin the
        // next look like an end; then the next byte starts the timer, or the idle timeout ends the wait.)
        if startsHead, betweenMessages, !messageEndedInThisRead, let headTimeout {
            headTimer = context.eventLoop.assumeIsolated().scheduleTask(in: headTimeout) {
                context.fireErrorCaught(HTTPServingError(.headTimeout, "the head did not arrive in time"))
            }
        }
        messageEndedInThisRead = false
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if holding, let event = event as? ChannelEvent, event == .inputClosed {
            heldInputClosed = true
            return
        }
        context.fireUserInboundEventTriggered(event)
    }
}
