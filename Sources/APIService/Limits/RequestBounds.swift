import NIOCore
import NIOHTTPTypes

/// How long the body of a request may take.
enum BodyDeadline {
    /// Set by `EdgeMiddleware`, for whoever reads the body.
    @TaskLocal static var current: Duration = .seconds(30)
}

/// Closes a connection whose request does not end, whoever reads its body or does not: what is answered without looking at
/// the body, such as a refusal, goes on being read, so that the connection can be used again. In any number of bytes, of
/// which none is kept.
final class RequestBounds: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart

    private let longest: TimeAmount
    private var end: Scheduled<Void>?

    /// - Parameter longest: from a request's head to its end. Above what whoever reads the body waits for, so that he can
    ///   say so.
    init(longest: Duration) { self.longest = TimeAmount(longest) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head:
            let channel = context.channel
            end?.cancel()
            end = context.eventLoop.scheduleTask(in: longest) { channel.close(promise: nil) }
        case .body: break
        case .end:
            end?.cancel()
            end = nil
        }
        context.fireChannelRead(data)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end?.cancel()
        end = nil
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { end?.cancel() }
}
