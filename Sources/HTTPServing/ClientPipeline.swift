import NIOCore
import NIOHTTP1

/// Turns the request parts that the response parser must see (it needs the method) into bytes. Bodies come framed.
final class RawRequestEncoder: ChannelOutboundHandler, RemovableChannelHandler {
    typealias OutboundIn = HTTPClientRequestPart
    typealias OutboundOut = ByteBuffer

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let head): context.write(wrapOutboundOut(MessageBytes.head(head)), promise: promise)
        case .body(.byteBuffer(let bytes)): context.write(wrapOutboundOut(bytes), promise: promise)
        case .body(.fileRegion): promise?.fail(ChannelError.operationUnsupported)
        case .end: promise?.succeed()
        }
    }
}

/// The client's handlers; used on the channel's event loop only.
struct ClientPipeline {
    let gate: InboundGate
    let encoder: RawRequestEncoder
    let decoder: ByteToMessageHandler<HTTPResponseDecoder>
    let receiver: PartReceiver<HTTPClientResponsePart>

    static func install(on channel: any Channel, inbound: BoundedQueue<InboundPart>) throws -> ClientPipeline {
        let gate = InboundGate(headTimeout: nil)
        let encoder = RawRequestEncoder()
        let decoder = ByteToMessageHandler(HTTPResponseDecoder(leftOverBytesStrategy: .forwardBytes))
        let receiver = PartReceiver<HTTPClientResponsePart>(inbound: inbound, endsCleanly: false) { receiver, part in
            switch part {
            case .head(let head):
                gate.headArrived()
                if head.status == .switchingProtocols {
                    // What follows is the new protocol's, and the peer's EOF may be among it.
                    gate.hold()
                    receiver.pauseReads()
                }
                return (.response(head), 512)
            case .body(let bytes): return (.bytes(bytes), bytes.readableBytes)
            case .end(let trailers):
                gate.messageEnded()
                return (.end(trailers), 64)
            }
        }
        try channel.pipeline.syncOperations.addHandlers(gate, encoder, decoder, receiver)
        return ClientPipeline(gate: gate, encoder: encoder, decoder: decoder, receiver: receiver)
    }
}
