package import ComputeCore
import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// An HTTP/1.1 server on one address.
///
///     bind() ── run() ── shutdown(deadline:)
///
/// Every connection is a child task of `run()`; there is no other concurrency.
package final class HTTPServer: Sendable {
    private typealias Listener = NIOAsyncChannel<ServerConnection, Never>

    private struct State {
        var listener: Listener?
        var connections: [ObjectIdentifier: ServerConnection] = [:]
        var draining = false
        var socketPath: String?
    }

    /// Grow while bodies come, so that these cost few calls, and shrink again.
    private static let receiveBuffers = AdaptiveRecvByteBufferAllocator(
        minimum: 64, initial: 2048, maximum: 256 << 10)

    /// Enough for a burst while the event loops are busy; the kernel's own limit is usually higher.
    private static let backlog: CInt = 1024

    private let listen: Endpoint
    private let limits: HTTPLimits
    private let handler: any HTTPHandler
    private let state = Mutex(State())

    package init(listen: Endpoint, limits: HTTPLimits = .init(), handler: any HTTPHandler) {
        self.listen = listen
        self.limits = limits
        self.handler = handler
    }

    /// Starts listening; connections wait until `run`. Answers the address with the real port. A unix socket is
    /// reachable for its owner only, and a file left over from a dead process is replaced.
    package func bind() async throws -> Endpoint {
        guard state.withLock({ $0.listener == nil && !$0.draining }) else {
            throw HTTPServingError(.invalidState, "a server is bound once")
        }
        let listener: Listener
        do {
            listener = try await makeListener()
        } catch let error as HTTPServingError {
            throw error
        } catch {
            throw HTTPServingError(.bindFailed, "cannot listen on \(listen)", cause: error)
        }
        let bound: Endpoint =
            switch listen {
            case .tcp(let host, _):
                .tcp(
                    host: listener.channel.localAddress?.ipAddress ?? host,
                    port: listener.channel.localAddress?.port ?? 0)
            case .unix: listen
            }
        state.withLock {
            $0.listener = listener
            if case .unix(let path) = listen { $0.socketPath = path }
        }
        return bound
    }

    private func makeListener() async throws -> Listener {
        let (limits, listen) = (limits, listen)
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: Self.backlog)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.recvAllocator, value: Self.receiveBuffers)
            // More than one of them before anybody is asked whether he wants it is memory that nobody counts.
            .childChannelOption(.maxMessagesPerRead, value: 1)
        let initializer: @Sendable (any Channel) -> EventLoopFuture<ServerConnection> = { channel in
            channel.eventLoop.makeCompletedFuture {
                var local = listen
                if case .tcp(let host, let port) = listen {
                    try channel.syncOptions?.setOption(.tcpOption(.tcp_nodelay), value: 1)
                    // A tunnel may be silent for days; only this finds out that the client's machine is gone.
                    try channel.syncOptions?.setOption(.socketOption(.so_keepalive), value: 1)
                    if let bytes = limits.sendBufferBytes {
                        try channel.syncOptions?.setOption(.socketOption(.so_sndbuf), value: .init(bytes))
                    }
                    local = .tcp(
                        host: channel.localAddress?.ipAddress ?? host, port: channel.localAddress?.port ?? port)
                }
                return try ServerConnection(channel: channel, limits: limits, localEndpoint: local)
            }
        }
        switch listen {
        case .tcp:
            // So that a restart need not wait for old connections to be forgotten. Where our own machine is refused it
            // must not: gVisor lets any other socket that has the option too listen on one address of a port that
            // we listen on for all of them, and connections to that address would be its.
            return
                try await bootstrap
                .serverChannelOption(.socketOption(.so_reuseaddr), value: limits.refusesOwnMachine ? 0 : 1)
                .bind(to: try listen.socketAddress(), childChannelInitializer: initializer)
        case .unix(let path):
            let descriptor = try SocketPath.listen(path, backlog: Self.backlog)
            return try await bootstrap.bind(descriptor, childChannelInitializer: initializer)
        }
    }

    /// Serves until `shutdown` or the task's cancellation; returns when every handler has returned.
    package func run() async throws {
        guard let listener = state.withLock({ $0.listener }) else {
            throw HTTPServingError(.invalidState, "bind() comes before run()")
        }
        defer { removeSocketFile() }
        await withDiscardingTaskGroup { group in
            // An error here is the listener's end (shutdown, cancellation), never one connection's.
            try? await listener.executeThenClose { accepted in
                for try await connection in accepted {
                    guard admit(connection) else {
                        connection.line.channel.close(promise: nil)
                        continue
                    }
                    group.addTask(executorPreference: connection.executor) {
                        await connection.serve(self.handler)
                        self.forget(connection)
                    }
                }
            }
            if Task.isCancelled { group.cancelAll() }
        }
    }

    /// Stops accepting, closes idle connections, lets requests in flight finish, and ends the rest at the deadline:
    /// their handlers are cancelled and their connections closed.
    package func shutdown(deadline: Duration) async {
        let (listener, connections) = state.withLock {
            $0.draining = true
            return ($0.listener, Array($0.connections.values))
        }
        if let listener {
            listener.channel.close(promise: nil)
            try? await listener.channel.closeFuture.get()
            removeSocketFile()
        }
        guard !connections.isEmpty else { return }
        for connection in connections { connection.drain() }
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let promise = loop.makePromise(of: Void.self)
        let timer = loop.scheduleTask(in: TimeAmount(deadline)) { promise.succeed() }
        let closed = EventLoopFuture.andAllComplete(connections.map(\.line.channel.closeFuture), on: loop)
        closed.cascade(to: promise)
        try? await promise.futureResult.get()
        timer.cancel()
        for connection in connections { connection.stopNow() }
        try? await closed.get()
    }

    private func admit(_ connection: ServerConnection) -> Bool {
        guard !limits.refusesOwnMachine || !connection.comesFromOwnMachine else { return false }
        return state.withLock {
            guard !$0.draining, $0.connections.count < limits.maxConnections else { return false }
            $0.connections[ObjectIdentifier(connection)] = connection
            return true
        }
    }

    private func forget(_ connection: ServerConnection) {
        state.withLock { $0.connections[ObjectIdentifier(connection)] = nil }
    }

    private func removeSocketFile() {
        let path = state.withLock { state in
            defer { state.socketPath = nil }
            return state.socketPath
        }
        if let path { unlink(path) }
    }
}
