import ComputeCore
import NIOCore
import NIOPosix
import Synchronization

/// A server that answers each request with exact bytes, and counts connections: what an HTTP server hides. A request
/// must arrive in one piece, as small ones do.
final class ScriptedServer: Sendable {
    enum Step: Sendable {
        case answer(String)
        case hangUp
    }
    private struct State {
        var connections = 0
        var requests = 0
    }

    private let state = Mutex(State())
    private let script: @Sendable (_ connection: Int, _ request: Int) -> Step

    var connections: Int { state.withLock { $0.connections } }
    var requests: Int { state.withLock { $0.requests } }

    static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    /// - Parameter script: what happens to a connection's request; both count from 1.
    private init(script: @escaping @Sendable (Int, Int) -> Step) { self.script = script }

    static func run(
        script: @escaping @Sendable (_ connection: Int, _ request: Int) -> Step,
        _ test: @Sendable (ScriptedServer, _ port: Int) async throws -> Void
    ) async throws {
        let server = ScriptedServer(script: script)
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Connection(server))
                }
            }
            .bind(to: SocketAddress(ipAddress: "127.0.0.1", port: 0)).get()
        defer { listener.close(promise: nil) }
        try await test(server, listener.localAddress?.port ?? 0)
    }

    private final class Connection: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let server: ScriptedServer
        private let number: Int
        private var requests = 0

        init(_ server: ScriptedServer) {
            self.server = server
            number = server.state.withLock {
                $0.connections += 1
                return $0.connections
            }
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            requests += 1
            server.state.withLock { $0.requests += 1 }
            switch server.script(number, requests) {
            case .answer(let text): context.writeAndFlush(NIOAny(ByteBuffer(string: text)), promise: nil)
            case .hangUp: context.close(promise: nil)
            }
        }
    }
}
