import ComputeCore
import HTTPServing
import NIOCore
import NIOHTTP1
import WebSockets

/// `/ws`: the messages of a connection in order to whoever does them, its events in order to the client.
package struct EventSocket: Sendable {
    /// Clients install their handlers right after the connection is open.
    private static let replayDelay: Duration = .milliseconds(30)

    /// Proxies drop connections that are silent for half a minute.
    package static let pingInterval: Duration = .seconds(25)

    private let broker: EventBroker
    private let pingInterval: Duration
    private let messages: [String: SocketRoute]
    /// What a new connection is told of what was there before it.
    private let replay: @Sendable (EventHub.ConnectionID) -> Void

    package init(
        broker: EventBroker, messages: [SocketRoute], pingInterval: Duration = Self.pingInterval,
        replay: @escaping @Sendable (EventHub.ConnectionID) -> Void
    ) {
        self.broker = broker
        self.pingInterval = pingInterval
        self.messages = Dictionary(messages.map { ($0.type, $0) }) { first, _ in first }
        self.replay = replay
    }

    package var routes: [SidekickRoute] {
        [SidekickRoute(.GET, "/ws") { request in try await serve(request) }]
    }

    private func serve(_ request: SidekickRequest) async throws -> SidekickAnswer {
        guard request.exchange.upgrade == "websocket" else {
            throw Problem(status: 400, code: .invalidRequest, message: "/ws is a WebSocket: an Upgrade is needed")
        }
        guard let id = broker.connect() else {
            throw Problem.overQuota("\(EventHub.maxConnections) WebSockets are open; close one first")
        }
        defer { broker.disconnect(id) }
        let connection = try await WebSocketConnection.accept(request.exchange, pingInterval: pingInterval)
        let sender = SocketSender(connection: id, compute: request.compute)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await write(connection, id)
                return true
            }
            group.addTask {
                for try await message in connection.messages {
                    switch message {
                    case .text(let text): await receive(Array(text.utf8), isText: true, from: sender)
                    case .binary(let bytes): await receive(Array(bytes.readableBytesView), isText: false, from: sender)
                    }
                    // The writer may wait for ever for a peer that talks and does not listen.
                    if broker.isStuck(id) {
                        await connection.close(code: EventHub.tooSlow.code, reason: EventHub.tooSlow.reason)
                        return true
                    }
                }
                return true
            }
            group.addTask {
                try await Task.sleep(for: Self.replayDelay)
                replay(id)
                return false
            }
            // Reader or writer: the first to end ends the connection.
            while let isEnd = try await group.next(), !isEnd {}
            group.cancelAll()
        }
        return .written
    }

    private func write(_ connection: WebSocketConnection, _ id: EventHub.ConnectionID) async throws {
        while true {
            switch await broker.next(id) {
            case .send(let event):
                try await connection.send(utf8: event.document.utf8)
            case .close(let code, let reason):
                await connection.close(code: code, reason: reason)
                return
            case .wait:
                // `next` waits itself.
                continue
            }
        }
    }

    /// What cannot be done is told to the sender; it ends nothing.
    private func receive(_ bytes: [UInt8], isText: Bool, from sender: SocketSender) async {
        var channel = ""
        do {
            let message = try SocketMessage(bytes, isText: isText)
            channel = message.channel
            switch message.type {
            case "subscribe": try subscribe(message, sender)
            case "unsubscribe": broker.unsubscribe(sender.connection, from: message.channel)
            default:
                guard let route = messages[message.type] else {
                    throw Problem.invalid("type", "unknown message type \(message.type.prefix(64))")
                }
                try await route.handle(message, sender)
            }
        } catch let problem as Problem {
            broker.publish(.error(problem.message, channel: channel), to: .connection(sender.connection))
        } catch {
            SidekickLog.write(.error, "a message failed", ["reason": "\(error)"])
            broker.publish(.error("the Sidekick failed", channel: channel), to: .connection(sender.connection))
        }
    }

    private func subscribe(_ message: SocketMessage, _ sender: SocketSender) throws(Problem) {
        let name = message.channel
        guard !name.isEmpty else { throw .invalid("channel", "channel is required") }
        func offset(_ field: String) throws(Problem) -> Int? {
            try message.data.integer(field, in: 0...Int64(Int.max)).map(Int.init)
        }
        let since = try offset("since")
        let options = EventHub.SubscribeOptions(
            since: [try offset("since_stdout") ?? since, try offset("since_stderr") ?? since],
            takesOver: try message.data.bool("takeover") ?? false)
        guard !broker.subscribe(sender.connection, to: name, options) else { return }
        // Ids are made here, so what is not known now will never be. `terminal:x` speaks as `terminal:error`.
        let kind = name.prefix { $0 != ":" }
        let type = kind == "terminal" ? "terminal:error" : "error"
        broker.publish(
            SocketEvent(type, channel: name, ["error": .string("there is no such \(kind)")]),
            to: .connection(sender.connection))
    }
}
