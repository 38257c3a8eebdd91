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
///
/// A request that was sent ahead has time from when all before it are answered: until then nobody may be reading it.
final class RequestBounds: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let longest: TimeAmount
    private var turns = RequestTurns()
    private var end: Scheduled<Void>?

    /// - Parameter longest: from when it is a request's turn to its end. Above what whoever reads the body waits for, so
    ///   that he can say so.
    init(longest: Duration) { self.longest = TimeAmount(longest) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head: follow(turns.began(), context)
        case .body: break
        case .end: follow(turns.ended(), context)
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data) { follow(turns.answered(), context) }
        context.write(data, promise: promise)
    }

    private func follow(_ order: RequestTurns.Order, _ context: ChannelHandlerContext) {
        switch order {
        case .doNothing: break
        case .startClock:
            let channel = context.channel
            end?.cancel()
            end = context.eventLoop.scheduleTask(in: longest) { channel.close(promise: nil) }
        case .stopClock:
            end?.cancel()
            end = nil
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        end?.cancel()
        end = nil
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { end?.cancel() }
}

/// Which request of a connection is being waited for. A value.
struct RequestTurns {
    enum Order: Hashable { case doNothing, startClock, stopClock }

    /// Begun by the peer, and not answered to the end.
    private var unanswered = 0
    /// Those of them before the one that is being read; nil while none is.
    private var before: Int?

    /// A request's head has come.
    mutating func began() -> Order {
        before = unanswered
        unanswered += 1
        return before == 0 ? .startClock : .doNothing
    }

    /// All of it has come.
    mutating func ended() -> Order {
        before = nil
        return .stopClock
    }

    /// An answer was written to its end: the oldest one's, and that may be of the request that is being read.
    mutating func answered() -> Order {
        unanswered = max(0, unanswered - 1)
        guard let ahead = before, ahead > 0 else { return .doNothing }
        before = ahead - 1
        return before == 0 ? .startClock : .doNothing
    }
}
