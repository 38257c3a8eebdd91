import HTTPServing
import HummingbirdCore
import Logging
import NIOCore

/// HTTP/1.1 whose requests are answered on the event loop of their connection: otherwise a thread has to wake another one for
/// each request and for its answer, which costs more than a small answer does. What runs there must not block; work that
/// outlives its request (`OwnedTasks`) runs elsewhere.
struct LoopServing: ServerChildChannel {
    let http: HTTP1Channel

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<HTTP1Channel.Value> {
        http.setup(channel: channel, logger: logger)
    }

    func handle(value: HTTP1Channel.Value, logger: Logger) async {
        await withTaskExecutorPreference(LoopExecutor(value.channel.eventLoop)) {
            await http.handle(value: value, logger: logger)
        }
    }
}
